"""Rules for pods and pod templates. Source: ``pkg/apis/core/validation/validation.go``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.common import non_negative, one_of
from apiserver.validation.containers import validate_container
from apiserver.validation.diff import diff
from apiserver.validation.objectmeta import validate_annotations, validate_labels

Object = dict[str, Any]

_RESTART: Final = ("Always", "OnFailure", "Never")
_DNS: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_UPDATE_TEXT: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod(pod: Object, options: Mapping[str, Any]) -> list[FieldError]:
    return validate_pod_spec(pod.get("spec") or {}, Path("spec"))


def validate_pod_update(new: Object, old: Object, options: Mapping[str, Any]) -> list[FieldError]:
    path = Path("spec")
    found: list[FieldError] = []
    spec, before = new["spec"], old["spec"]
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            return [forbidden(path.child(field), "pod updates may not add or remove containers")]
    found += _deadline_update(spec, before, path.child("activeDeadlineSeconds"))
    found += _tolerations_update(spec, before, path.child("tolerations"))
    fixed = _with_mutable_fields_of(spec, before)
    if fixed != before:
        found.append(forbidden(path, f"{_UPDATE_TEXT}\n{diff(before, fixed)}"))
    return found


def _with_mutable_fields_of(spec: Object, before: Object) -> Object:
    """The new spec with everything that may change set back to what it was."""
    result = copy.deepcopy(spec)
    for field in ("containers", "initContainers"):
        for container, old in zip(result.get(field) or (), before.get(field) or (), strict=False):
            container["image"] = old.get("image")
            if old.get("image") is None:
                del container["image"]
    mutable = ["activeDeadlineSeconds", "tolerations"]
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get(
        "terminationGracePeriodSeconds"
    ) == 1:
        mutable.append("terminationGracePeriodSeconds")
    if before.get("schedulingGates"):
        mutable += ["schedulingGates", "nodeSelector", "affinity"]
    for field in mutable:
        result.pop(field, None)
        if field in before:
            result[field] = before[field]
    return result


def _deadline_update(spec: Object, before: Object, path: Path) -> list[FieldError]:
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is not None:
        if not 0 <= new <= 2**31 - 1:
            return [invalid(path, new, "must be between 0 and 2147483647, inclusive")]
        if old is not None and old < new:
            return [invalid(path, new, "must be less than or equal to previous value")]
    elif old is not None:
        text = "must not update from a positive integer to nil value"
        return [invalid(path, new, text)]
    return []


def _tolerations_update(spec: Object, before: Object, path: Path) -> list[FieldError]:
    kept = [_identity(item) for item in spec.get("tolerations") or ()]
    for item in before.get("tolerations") or ():
        if _identity(item) not in kept:
            return [forbidden(path, "existing toleration can not be modified except its tolerationSeconds")]
    return []


def _identity(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def validate_template(template: Object, path: Path, claims: frozenset[str] = frozenset()) -> list[FieldError]:
    """``claims``: names of volumes that come from claim templates beside the pod template."""
    metadata = template.get("metadata") or {}
    return [
        *validate_labels(metadata.get("labels") or {}, path.child("labels")),
        *validate_annotations(metadata.get("annotations") or {}, path.child("annotations")),
        *validate_pod_spec(template.get("spec") or {}, path.child("spec"), claims),
    ]


def validate_pod_spec(spec: Object, path: Path, claims: frozenset[str] = frozenset()) -> list[FieldError]:
    volumes, found = _volumes(spec.get("volumes") or (), path.child("volumes"))
    found += _containers(spec, volumes | claims, path)
    found += one_of(spec.get("restartPolicy"), _RESTART, path.child("restartPolicy"))
    found += one_of(spec.get("dnsPolicy"), _DNS, path.child("dnsPolicy"))
    found += validate_labels(spec.get("nodeSelector") or {}, path.child("nodeSelector"))
    account = spec.get("serviceAccountName") or ""
    if account:
        texts = names.check_dns1123_subdomain(account)
        found += [invalid(path.child("serviceAccountName"), account, text) for text in texts]
    node = spec.get("nodeName") or ""
    if node:
        found += [invalid(path.child("nodeName"), node, text) for text in names.check_dns1123_subdomain(node)]
    found += _deadline(spec.get("activeDeadlineSeconds"), path.child("activeDeadlineSeconds"))
    for field in ("hostname", "subdomain"):
        value = spec.get(field) or ""
        if value:
            found += [invalid(path.child(field), value, text) for text in names.check_dns1123_label(value)]
    for at, toleration in enumerate(spec.get("tolerations") or ()):
        found += _toleration(toleration, path.child("tolerations").index(at))
    found += non_negative(
        spec.get("terminationGracePeriodSeconds"), path.child("terminationGracePeriodSeconds")
    )
    return found


def _deadline(value: Any, path: Path) -> list[FieldError]:
    if value is not None and not 1 <= value <= 2**31 - 1:
        return [invalid(path, value, "must be between 1 and 2147483647, inclusive")]
    return []


def _containers(spec: Object, volumes: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    if not spec.get("containers"):
        found.append(required(path.child("containers")))
    for field in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(field) or ()):
            where = path.child(field).index(at)
            name = container.get("name") or ""
            if name and name in seen:
                found.append(duplicate(where.child("name"), name))
            seen.add(name)
            found += validate_container(container, volumes, where)
            if field == "containers" and container.get("restartPolicy"):
                text = "may not be set for non-init containers"
                found.append(forbidden(where.child("restartPolicy"), text))
    return found


def _volumes(volumes: Any, path: Path) -> tuple[set[str], list[FieldError]]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, volume in enumerate(volumes):
        where, name = path.index(at), volume.get("name") or ""
        sources = [key for key in volume if key != "name"]
        for extra in sources[1:]:
            found.append(forbidden(where.child(extra), "may not specify more than 1 volume type"))
        if not sources:
            found.append(required(where, "must specify a volume type"))
        if not name:
            found.append(required(where.child("name")))
        else:
            found += [invalid(where.child("name"), name, text) for text in names.check_dns1123_label(name)]
        if name and name in seen:
            found.append(duplicate(where.child("name"), name))
        seen.add(name)
        found += _volume_source(volume, where)
    return seen, found


_SOURCE_NAMES: Final = (
    ("configMap", "name"),
    ("secret", "secretName"),
    ("persistentVolumeClaim", "claimName"),
    ("hostPath", "path"),
)


def _volume_source(volume: Object, path: Path) -> list[FieldError]:
    return [
        required(path.child(source).child(field))
        for source, field in _SOURCE_NAMES
        if volume.get(source) is not None and not volume[source].get(field)
    ]


def _toleration(toleration: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if key:
        found += [invalid(path.child("key"), key, text) for text in names.check_qualified_name(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        found.append(invalid(path.child("operator"), toleration.get("operator") or "", text))
    effect = toleration.get("effect") or ""
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        found.append(invalid(path.child("effect"), effect, text))
    if operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        found.append(invalid(path.child("operator"), toleration.get("value"), text))
    if operator not in ("Exists", "Equal"):
        found.append(not_supported(path.child("operator"), operator, ("Equal", "Exists")))
    if effect and effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        found.append(
            not_supported(path.child("effect"), effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))
        )
    return found
