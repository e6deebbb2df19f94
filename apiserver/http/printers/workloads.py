"""Workloads, their templates and revisions. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api.meta import parse_time
from apiserver.http.printers.common import NONE, UNSET, age, containers, duration, meta_of, pairs, selector

Object = dict[str, Any]
Cells = list[Any]


def _parts(obj: Object) -> tuple[Object, Object, str, str | None]:
    name, created = meta_of(obj)
    return obj.get("spec") or {}, obj.get("status") or {}, name, created


def _template(spec: Object) -> Object:
    return (spec.get("template") or {}).get("spec") or {}


def replication_controller(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name, *counts, age(created, now), *containers(_template(spec)), pairs(spec.get("selector"))]


def replica_set(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name, *counts, age(created, now), *containers(_template(spec)), selector(spec.get("selector"))]


def deployment(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    return [
        name,
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(created, now),
        *containers(_template(spec)),
        selector(spec.get("selector")),
    ]


def stateful_set(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name, ready, age(created, now), *containers(_template(spec))]


def daemon_set(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    keys = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    counts = [status.get(key, 0) for key in keys]
    nodes = pairs(_template(spec).get("nodeSelector"))
    return [
        name,
        *counts,
        nodes,
        age(created, now),
        *containers(_template(spec)),
        selector(spec.get("selector")),
    ]


def pod_template(obj: Object, now: datetime) -> Cells:
    template = obj.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return [meta_of(obj)[0], *containers(template.get("spec")), pairs(labels)]


def controller_revision(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, _controller(obj["metadata"]), obj.get("revision", 0), age(created, now)]


def _controller(metadata: Object) -> str:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
    return NONE


def job(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    done, wanted = status.get("succeeded", 0), spec.get("completions")
    if wanted is not None:
        completions = f"{done}/{wanted}"
    else:
        parallel = spec.get("parallelism") or 0
        completions = f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"
    return [
        name,
        _job_status(obj),
        completions,
        _job_duration(status, now),
        age(created, now),
        *containers(_template(spec)),
        selector(spec.get("selector")),
    ]


def _job_status(obj: Object) -> str:
    true = {
        c.get("type") for c in (obj.get("status") or {}).get("conditions") or () if c.get("status") == "True"
    }
    for kind, text in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
    ):
        if kind in true:
            return text
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind, text in (
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if kind in true:
            return text
    return "Running"


def _job_duration(status: Object, now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return duration((end - parse_time(status["startTime"])).total_seconds())


def cron_job(obj: Object, now: datetime) -> Cells:
    spec, status, name, created = _parts(obj)
    last = status.get("lastScheduleTime")
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        name,
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        _flag(spec.get("suspend")),
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        age(created, now),
        *containers(_template(template)),
        selector(template.get("selector")),
    ]


def _flag(value: bool | None) -> str:
    return UNSET if value is None else str(value)
