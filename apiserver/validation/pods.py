"""Rules for pods and pod templates. Source: ``pkg/apis/core/validation/validation.go``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, duplicate, forbidden, invalid, required
from apiserver.validation.common import supported
from apiserver.validation.containers import host_port_conflicts, validate_container
from apiserver.validation.diff import diff
from apiserver.validation.objectmeta import validate_annotations, validate_labels
from apiserver.validation.scheduling import validate_scheduling
from apiserver.validation.security import validate_host_namespaces, validate_pod_security
from apiserver.validation.volumes import validate_volumes

Object = dict[str, Any]

_RESTART: Final = ("Always", "OnFailure", "Never")
_DNS: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_UPDATE_TEXT: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


_NAMES: Final = (
    ("serviceAccountName", names.check_dns1123_subdomain),
    ("nodeName", names.check_dns1123_subdomain),
    ("hostname", names.check_dns1123_label),
    ("subdomain", names.check_dns1123_label),
    ("priorityClassName", names.check_dns1123_subdomain),
    ("runtimeClassName", names.check_dns1123_subdomain),
)


def validate_pod(pod: Object, options: Mapping[str, Any]) -> list[FieldError]:
    return validate_pod_spec(pod.get("spec") or {}, Path("spec"))


def validate_new_pod(pod: Object, options: Mapping[str, Any]) -> list[FieldError]:
    if (pod.get("spec") or {}).get("ephemeralContainers"):
        return [forbidden(Path("spec").child("ephemeralContainers"), "cannot be set on create")]
    return []


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
    volumes, found = validate_volumes(spec.get("volumes") or (), path.child("volumes"))
    found += _containers(spec, volumes | claims, path)
    found += supported(spec.get("restartPolicy"), _RESTART, path.child("restartPolicy"))
    found += supported(spec.get("dnsPolicy"), _DNS, path.child("dnsPolicy"))
    found += validate_scheduling(spec, path)
    found += validate_pod_security(spec, path.child("securityContext"))
    found += validate_host_namespaces(spec, path)
    for field, check in _NAMES:
        value = spec.get(field) or ""
        if value:
            found += [invalid(path.child(field), value, text) for text in check(value)]
    return found + _deadline(spec.get("activeDeadlineSeconds"), path.child("activeDeadlineSeconds"))


def _deadline(value: Any, path: Path) -> list[FieldError]:
    if value is not None and not 1 <= value <= 2**31 - 1:
        return [invalid(path, value, "must be between 1 and 2147483647, inclusive")]
    return []


def _containers(spec: Object, volumes: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not spec.get("containers"):
        found.append(required(path.child("containers")))
    seen: set[str] = set()
    for field in ("containers", "initContainers"):
        containers, where = spec.get(field) or (), path.child(field)
        for at, container in enumerate(containers):
            found += _container(container, field, volumes, seen, where.index(at))
        found += host_port_conflicts(containers, where, host_network=bool(spec.get("hostNetwork")))
    return found


def _container(
    container: Object, field: str, volumes: set[str], seen: set[str], path: Path
) -> list[FieldError]:
    name = container.get("name") or ""
    found = [duplicate(path.child("name"), name)] if name and name in seen else []
    seen.add(name)
    found += validate_container(container, volumes, path)
    if field == "containers" and container.get("restartPolicy"):
        found.append(forbidden(path.child("restartPolicy"), "may not be set for non-init containers"))
    return found
