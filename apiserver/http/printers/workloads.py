"""(P) The columns of what owns pods: controllers of apps, batch and autoscaling."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import meta
from apiserver.http.printers.common import (
    NONE,
    UNKNOWN,
    UNSET,
    Object,
    age,
    containers_text,
    human_duration,
    labels_text,
    selector_text,
    since,
    spec,
    status,
)


def _pods(obj: Object) -> tuple[str, str]:
    return containers_text(spec(obj).get("template") or {})


def _owned(obj: Object) -> list[str]:
    return [*_pods(obj), selector_text(spec(obj).get("selector"))]


def deployment(obj: Object, now: datetime) -> list[Any]:
    found = status(obj)
    ready = f"{found.get('readyReplicas', 0)}/{spec(obj).get('replicas', 0)}"
    counts = [found.get("updatedReplicas", 0), found.get("availableReplicas", 0)]
    return [meta.name(obj), ready, *counts, age(obj, now), *_owned(obj)]


def _counts(obj: Object) -> list[int]:
    found = status(obj)
    return [spec(obj).get("replicas", 0), found.get("replicas", 0), found.get("readyReplicas", 0)]


def replica_set(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), *_counts(obj), age(obj, now), *_owned(obj)]


def replication_controller(obj: Object, now: datetime) -> list[Any]:
    selector = labels_text(spec(obj).get("selector"))
    return [meta.name(obj), *_counts(obj), age(obj, now), *_pods(obj), selector]


def stateful_set(obj: Object, now: datetime) -> list[Any]:
    ready = f"{status(obj).get('readyReplicas', 0)}/{spec(obj).get('replicas', 0)}"
    return [meta.name(obj), ready, age(obj, now), *_pods(obj)]


def daemon_set(obj: Object, now: datetime) -> list[Any]:
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    counts = [status(obj).get(field, 0) for field in fields]
    nodes = labels_text(((spec(obj).get("template") or {}).get("spec") or {}).get("nodeSelector"))
    return [meta.name(obj), *counts, nodes, age(obj, now), *_owned(obj)]


def controller_revision(obj: Object, now: datetime) -> list[Any]:
    owner = meta.controller_of(obj)
    text = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        text = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [meta.name(obj), text, obj.get("revision", 0), age(obj, now)]


def _job_status(obj: Object) -> str:
    true = {c["type"] for c in status(obj).get("conditions") or [] if c.get("status") == "True"}
    names = ("Complete", "Failed")
    for name in names:
        if name in true:
            return name
    if meta.is_deleting(obj):
        return "Terminating"
    for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if name in true:
            return name
    return "Running"


def _completions(obj: Object) -> str:
    done = status(obj).get("succeeded", 0)
    wanted = spec(obj).get("completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = spec(obj).get("parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def job(obj: Object, now: datetime) -> list[Any]:
    started, ended = status(obj).get("startTime"), status(obj).get("completionTime")
    duration = ""
    if started:
        duration = human_duration((meta.parse_time(ended) if ended else now) - meta.parse_time(started))
    return [meta.name(obj), _job_status(obj), _completions(obj), duration, age(obj, now), *_owned(obj)]


def cron_job(obj: Object, now: datetime) -> list[Any]:
    last = status(obj).get("lastScheduleTime")
    template = (spec(obj).get("jobTemplate") or {}).get("spec") or {}
    names, images = containers_text(template.get("template") or {})
    selector = template.get("selector")
    return [
        meta.name(obj),
        spec(obj).get("schedule", ""),
        spec(obj).get("timeZone") or NONE,
        "True" if spec(obj).get("suspend") else "False",
        len(status(obj).get("active") or ()),
        since(last, now) if last else NONE,
        age(obj, now),
        names,
        images,
        selector_text(selector) if selector else NONE,
    ]


def autoscaler(obj: Object, now: datetime) -> list[Any]:
    target = spec(obj).get("scaleTargetRef") or {}
    lowest = spec(obj).get("minReplicas")
    return [
        meta.name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(obj),
        UNSET if lowest is None else str(lowest),
        spec(obj).get("maxReplicas", 0),
        status(obj).get("currentReplicas", 0),
        age(obj, now),
    ]


def _metrics(obj: Object) -> str:
    """`cpu: 20%/80%, ...`: the current value and the target of each resource metric."""
    texts = []
    if spec(obj).get("targetCPUUtilizationPercentage") is not None:  # autoscaling/v1
        current = status(obj).get("currentCPUUtilizationPercentage")
        shown = UNKNOWN if current is None else f"{current}%"
        texts.append(f"cpu: {shown}/{spec(obj)['targetCPUUtilizationPercentage']}%")
    currents = status(obj).get("currentMetrics") or []
    for number, metric in enumerate(spec(obj).get("metrics") or ()):
        current = currents[number] if number < len(currents) else {}
        texts.append(_metric(metric, current))
    if not texts:
        return NONE
    more = f" + {len(texts) - 2} more..." if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more


def _metric(metric: Object, current: Object) -> str:
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source, found = metric.get(field) or {}, (current.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    name = f"{source['name']}: " if source.get("name") else ""
    if target.get("averageUtilization") is not None:
        now = found.get("averageUtilization")
        return f"{name}{UNKNOWN if now is None else f'{now}%'}/{target['averageUtilization']}%"
    value = "averageValue" if target.get("averageValue") is not None else "value"
    average = " (avg)" if value == "averageValue" and kind == "External" else ""
    return f"{name}{found.get(value, UNKNOWN)}/{target.get(value, UNKNOWN)}{average}"


PRINTERS = {
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("", "ReplicationController"): replication_controller,
    ("apps", "StatefulSet"): stateful_set,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "ControllerRevision"): controller_revision,
    ("batch", "Job"): job,
    ("batch", "CronJob"): cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaler,
}
