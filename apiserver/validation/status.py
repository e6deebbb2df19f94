"""Numbers in the status of workloads and budgets, checked when it is written through its subresource. Pure."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.validation import (
    admission_policies,
    api_services,
    csi,
    device_claims,
    flow_schemas,
    ingresses,
    job_status,
    services,
)
from apiserver.validation.common import non_negative

Object = dict[str, Any]
Rule = Callable[[Object, Object], list[FieldError]]
_STATUS: Final = Path("status")
_SYSTEM_CONDITIONS: Final = frozenset(
    {"PodScheduled", "PodReady", "Ready", "Initialized", "ContainersReady", "DisruptionTarget"}
)
_NO_ADDRESS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_REPLICAS: Final = "cannot be greater than status.replicas"


def validate_status(group: str, kind: str, new: Object, old: Object) -> list[FieldError]:
    whole = _WHOLE.get((group, kind))
    if whole is not None:
        return whole(new, old)
    rule = _RULES.get((group, kind))
    return rule(new.get("status") or {}, old.get("status") or {}) if rule is not None else []


def _namespace(obj: Object, old: Object) -> list[FieldError]:
    deleting = bool(obj["metadata"].get("deletionTimestamp"))
    phase, wanted = (obj.get("status") or {}).get("phase") or "", "Terminating" if deleting else "Active"
    if phase == wanted:
        return []
    text = f"may only be '{wanted}' if `deletionTimestamp` is {'not ' if deleting else ''}empty"
    return [invalid(_STATUS.child("Phase"), phase, text)]


def _pod(status: Object, old: Object) -> list[FieldError]:
    found = []
    node = status.get("nominatedNodeName") or ""
    if node:
        path = _STATUS.child("nominatedNodeName")
        found += [invalid(path, node, text) for text in names.check_dns1123_subdomain(node)]
    for at, condition in enumerate(status.get("conditions") or ()):
        kind, path = condition.get("type") or "", _STATUS.child("conditions").index(at).child("type")
        if kind not in _SYSTEM_CONDITIONS:
            found += [invalid(path, kind, text) for text in names.check_qualified_name(kind)]
    return found + _addresses(status.get("podIPs") or [], _STATUS.child("podIPs"))


def _addresses(addresses: list[Object], path: Path) -> list[FieldError]:
    """At most one of each family."""
    found, families = [], []
    for at, address in enumerate(addresses):
        try:
            families.append(ip_address(address.get("ip") or "").version)
        except ValueError:
            where = path.index(at).child("ip")
            found.append(invalid(where, address.get("ip") or "", _NO_ADDRESS))
    if not found and len(families) != len(set(families)):
        shown = [address.get("ip") for address in addresses]
        found.append(invalid(path, shown, "may specify no more than one IP for each IP family"))
    return found


def _counts(status: Object, *names: str) -> list[FieldError]:
    return [error for name in names for error in non_negative(status.get(name), _STATUS.child(name))]


def _at_most(status: Object, name: str, limit: str, text: str) -> list[FieldError]:
    value = status.get(name) or 0
    return [invalid(_STATUS.child(name), value, text)] if value > (status.get(limit) or 0) else []


def _no_more_than_replicas(status: Object, *names: str) -> list[FieldError]:
    return [error for name in names for error in _at_most(status, name, "replicas", _REPLICAS)]


def _not_decremented(status: Object, old: Object) -> list[FieldError]:
    value = status.get("collisionCount")
    if (value or 0) >= (old.get("collisionCount") or 0):
        return []
    return [invalid(_STATUS.child("collisionCount"), value or 0, "cannot be decremented")]


def _deployment(status: Object, old: Object) -> list[FieldError]:
    numbers = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return [
        *_counts(status, *numbers, "unavailableReplicas", "terminatingReplicas", "collisionCount"),
        *_no_more_than_replicas(status, "updatedReplicas", "readyReplicas", "availableReplicas"),
        *_at_most(status, "availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
        *_not_decremented(status, old),
    ]


def _replica_set(status: Object, old: Object) -> list[FieldError]:
    numbers = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return [
        *_counts(status, *numbers, "terminatingReplicas", "observedGeneration"),
        *_no_more_than_replicas(status, *numbers[1:]),
        *_at_most(status, "availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ]


def _stateful_set(status: Object, old: Object) -> list[FieldError]:
    numbers = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    available = "cannot be greater than status.readyReplicas"
    return [
        *_counts(status, *numbers, "observedGeneration", "collisionCount"),
        *_no_more_than_replicas(status, *numbers[1:]),
        *_at_most(status, "availableReplicas", "readyReplicas", available),
        *_not_decremented(status, old),
    ]


def _daemon_set(status: Object, old: Object) -> list[FieldError]:
    scheduled = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    more = ("observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable")
    return [*_counts(status, *scheduled, *more, "collisionCount"), *_not_decremented(status, old)]


def _budget(status: Object, old: Object) -> list[FieldError]:
    return _counts(status, "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def _autoscaler(status: Object, old: Object) -> list[FieldError]:
    return _counts(status, "currentReplicas", "desiredReplicas")


_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replica_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("policy", "PodDisruptionBudget"): _budget,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "Ingress"): ingresses.validate_ingress_status,
    ("storage.k8s.io", "VolumeAttachment"): csi.validate_attachment_status,
    ("apiregistration.k8s.io", "APIService"): api_services.validate_status,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): flow_schemas.validate_status,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): flow_schemas.validate_status,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): admission_policies.validate_policy_status,
}
_WHOLE: Final[dict[tuple[str, str], Rule]] = {
    ("", "Namespace"): _namespace,
    ("", "Service"): services.validate_service_status,
    ("batch", "Job"): job_status.validate_job_status,
    ("resource.k8s.io", "ResourceClaim"): device_claims.validate_claim_status,
}
"""Rules that look beyond the status, at the whole object."""
