"""Rules for Jobs and CronJobs (``ValidateJob``, ``ValidateCronJob``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones as _available_timezones

from croniter import CroniterError, croniter

from apiserver.api import labels, meta, names
from apiserver.api.field_errors import FieldError, Path, go_struct, invalid, not_supported, required
from apiserver.validation.common import immutable, label_selector, non_negative, one_of
from apiserver.validation.job_policies import validate_policies
from apiserver.validation.objectmeta import IMMUTABLE
from apiserver.validation.pods import validate_template

Object = dict[str, Any]
Options = Mapping[str, Any]
_SPEC: Final = Path("spec")
_MISMATCH: Final = "`selector` does not match template `labels`"
_LONGEST_NAME: Final = 52
_CONTROLLER: Final = "batch.kubernetes.io/controller-uid"
_DESCRIPTORS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
available_timezones = cache(_available_timezones)


def validate_job(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found = _job_spec(spec, _SPEC)
    selector = spec.get("selector")
    wrong = label_selector(selector, _SPEC.child("selector"))
    if selector is None:
        wrong.append(required(_SPEC.child("selector")))
    found = wrong + found
    own = meta.labels(spec.get("template") or {})
    if selector is None or (not wrong and not labels.selector_from_label_selector(selector).matches(own)):
        found.append(
            invalid(
                _SPEC.child("template", "metadata", "labels"), dict(sorted(own.items())) or None, _MISMATCH
            )
        )
    return found + _host_names(obj)


def _host_names(job: Object) -> list[FieldError]:
    """The pods of an indexed job are called after it, with their index."""
    spec, name = job["spec"], meta.name(job)
    if spec.get("completionMode") != "Indexed" or (spec.get("completions") or 0) <= 0:
        return []
    longest = f"{name}-{spec['completions'] - 1}"
    if not names.check_dns1123_label(longest):
        return []
    text = f"will not able to create pod with invalid DNS label: {longest}"
    return [invalid(Path("metadata").child("name"), name, text)]


def validate_new_job(obj: Object, options: Options) -> list[FieldError]:
    """The selector is made from the job's own id, unless that was asked not to be."""
    selector, uid = obj["spec"].get("selector"), meta.uid(obj)
    if obj["spec"].get("manualSelector") or selector is None:
        return []
    if selector.get("matchLabels") == {_CONTROLLER: uid} and not selector.get("matchExpressions"):
        return []
    return [invalid(_SPEC.child("selector"), selector, "`selector` not auto-generated")]


def _job_spec(spec: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        found += non_negative(spec.get(field), path.child(field))
    found += validate_policies(spec, path)
    template = spec.get("template") or {}
    found += validate_template(template, path.child("template"))
    policy = (template.get("spec") or {}).get("restartPolicy") or ""
    where = path.child("template", "spec", "restartPolicy")
    if policy == "Always":
        found.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(not_supported(where, policy, ("OnFailure", "Never"), ordered=True))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(invalid(where, policy, text))
    return found


def validate_job_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    found: list[FieldError] = []
    count, known, where = spec.get("completions"), before.get("completions"), _SPEC.child("completions")
    if spec.get("completionMode") != "Indexed":
        found += immutable(count, known, where)
    elif count is not None and count != known and count != spec.get("parallelism"):
        found.append(invalid(where, count, "can only be modified in tandem with spec.parallelism"))
    movable = bool(before.get("suspend")) and (old.get("status") or {}).get("startTime") is None
    templates = [side.get("template") or {} for side in (spec, before)]
    mine, theirs = map(_without_placement, templates) if movable else templates
    if mine != theirs:
        found.append(invalid(_SPEC.child("template"), go_struct(spec.get("template")), IMMUTABLE))
    for field in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        found += immutable(spec.get(field), before.get(field), _SPEC.child(field))
    return found


def _without_placement(template: Object) -> Object:
    """What of a template stays fixed while its job waits to be started: all but where its pods may run."""
    metadata = {
        k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")
    }
    placement = ("nodeSelector", "tolerations", "schedulingGates", "affinity")
    pod = {k: v for k, v in (template.get("spec") or {}).items() if k not in placement}
    affinity = (template.get("spec") or {}).get("affinity") or {}
    pod["affinity"] = {k: v for k, v in affinity.items() if k != "nodeAffinity"}
    return {**template, "metadata": metadata, "spec": pod}


def validate_cron_job(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found: list[FieldError] = []
    found += check_schedule(spec.get("schedule") or "", _SPEC.child("schedule"))
    found += _time_zone(spec.get("timeZone"), _SPEC.child("timeZone"))
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found += non_negative(spec.get(field), _SPEC.child(field))
    found += one_of(
        spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), _SPEC.child("concurrencyPolicy")
    )
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    found += _job_spec(job, _SPEC.child("jobTemplate", "spec"))
    if job.get("selector") is not None:
        path = _SPEC.child("jobTemplate", "spec", "selector")
        found.append(invalid(path, job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        path = _SPEC.child("jobTemplate", "spec", "manualSelector")
        found.append(not_supported(path, True, ("nil", "false"), ordered=True))
    return found


def validate_new_cron_job(obj: Object, options: Options) -> list[FieldError]:
    """Jobs are called after it, with a time of 11 characters."""
    if len(meta.name(obj)) <= _LONGEST_NAME:
        return []
    text = f"must be no more than {_LONGEST_NAME} characters"
    return [invalid(Path("metadata").child("name"), meta.name(obj), text)]


def check_schedule(schedule: str, path: Path) -> list[FieldError]:
    if not schedule:
        return [required(path)]
    if "TZ" in schedule:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        return [invalid(path, schedule, text)]
    fields = schedule.split()
    if schedule.startswith("@"):
        known = schedule in _DESCRIPTORS or schedule.startswith("@every ")
        return [] if known else [invalid(path, schedule, f"unrecognized descriptor: {schedule}")]
    if len(fields) != 5:
        text = f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
        return [invalid(path, schedule, text)]
    try:
        croniter.expand(schedule)
    except CroniterError as error:
        return [invalid(path, schedule, str(error))]
    return []


def _time_zone(name: str | None, path: Path) -> list[FieldError]:
    if name is None:
        return []
    if not name:
        return [invalid(path, name, "timeZone must be nil or non-empty string")]
    if name.casefold() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid(path, name, text)]
    return [] if name in available_timezones() else [invalid(path, name, f"unknown time zone {name}")]
