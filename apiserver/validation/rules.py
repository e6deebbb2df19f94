"""Which validation belongs to which kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid, required
from apiserver.validation import (
    autoscalers,
    config,
    jobs,
    limits,
    nodes,
    persistent,
    pods,
    secrets,
    services,
    workloads,
)

Object = dict[str, Any]
Rule = Callable[[Object, Mapping[str, Any]], list[FieldError]]
UpdateRule = Callable[[Object, Object, Mapping[str, Any]], list[FieldError]]

_RBAC: Final = "rbac.authorization.k8s.io"
_NAME_RULES: Final[dict[tuple[str, str], Callable[[str], list[str]]]] = {
    ("", "Service"): names.check_dns1123_label,
    ("", "Namespace"): names.check_dns1123_label,
    (_RBAC, "Role"): names.check_path_segment,
    (_RBAC, "ClusterRole"): names.check_path_segment,
    (_RBAC, "RoleBinding"): names.check_path_segment,
    (_RBAC, "ClusterRoleBinding"): names.check_path_segment,
    ("certificates.k8s.io", "CertificateSigningRequest"): names.check_path_segment,
    ("networking.k8s.io", "IPAddress"): names.check_path_segment,
}


def name_rule(group: str, kind: str) -> Callable[[str], list[str]]:
    return _NAME_RULES.get((group, kind), names.check_dns1123_subdomain)


def _lease(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    found = []
    for field, low in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        value = spec.get(field)
        if value is not None and value < low:
            text = "must be greater than 0" if low else "must be greater than or equal to 0"
            found.append(invalid(path.child(field), value, text))
    return found


def _ingress_class_update(new: Object, old: Object, options: Mapping[str, Any]) -> list[FieldError]:
    mine, theirs = (new.get("spec") or {}).get("controller"), (old.get("spec") or {}).get("controller")
    return [] if mine == theirs else [invalid(Path("spec").child("controller"), mine, "field is immutable")]


def _ingress(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    if not spec.get("rules") and not spec.get("defaultBackend"):
        return [invalid(path, spec.get("rules"), "either `defaultBackend` or `rules` must be specified")]
    found = []
    for at, rule in enumerate(spec.get("rules") or ()):
        for number, entry in enumerate((rule.get("http") or {}).get("paths") or ()):
            where = path.child("rules").index(at).child("http", "paths").index(number)
            if not entry.get("pathType"):
                found.append(required(where.child("pathType"), "pathType must be specified"))
    return found


def _priority_class_update(new: Object, old: Object, options: Mapping[str, Any]) -> list[FieldError]:
    found = []
    if new.get("value") != old.get("value"):
        text = "may not be changed in an update."
        found.append(invalid(Path("value"), new.get("value"), text))
    return found


def _pod_template(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    return pods.validate_template(obj.get("template") or {}, Path("template"))


CREATE_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Pod"): pods.validate_pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): workloads.validate_controller,
    ("", "Service"): services.validate_service,
    ("", "ConfigMap"): config.validate_config_map,
    ("", "Secret"): secrets.validate_secret,
    ("", "Endpoints"): config.validate_endpoints,
    ("", "PersistentVolume"): persistent.validate_volume,
    ("", "PersistentVolumeClaim"): persistent.validate_claim,
    ("", "Node"): nodes.validate_node,
    ("", "LimitRange"): limits.validate_limit_range,
    ("", "ResourceQuota"): limits.validate_quota,
    ("apps", "Deployment"): workloads.validate_deployment,
    ("apps", "ReplicaSet"): workloads.validate_replica_set,
    ("apps", "StatefulSet"): workloads.validate_stateful_set,
    ("apps", "DaemonSet"): workloads.validate_daemon_set,
    ("batch", "Job"): jobs.validate_job,
    ("batch", "CronJob"): jobs.validate_cron_job,
    ("policy", "PodDisruptionBudget"): workloads.validate_budget,
    ("discovery.k8s.io", "EndpointSlice"): config.validate_endpoint_slice,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("coordination.k8s.io", "Lease"): _lease,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscalers.validate_autoscaler,
    ("storage.k8s.io", "StorageClass"): config.validate_storage_class,
    (_RBAC, "Role"): config.validate_role,
    (_RBAC, "ClusterRole"): config.validate_role,
    (_RBAC, "RoleBinding"): config.validate_binding,
    (_RBAC, "ClusterRoleBinding"): config.validate_binding,
}
NEW_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Pod"): pods.validate_new_pod,
    ("batch", "Job"): jobs.validate_new_job,
}
"""For new objects only; the others hold for changed ones, too."""
UPDATE_RULES: Final[dict[tuple[str, str], UpdateRule]] = {
    ("", "Pod"): pods.validate_pod_update,
    ("", "Service"): services.validate_service_update,
    ("", "ConfigMap"): config.validate_frozen,
    ("", "Secret"): config.validate_secret_update,
    ("", "PersistentVolumeClaim"): persistent.validate_claim_update,
    ("", "PersistentVolume"): persistent.validate_volume_update,
    ("", "Node"): nodes.validate_node_update,
    ("", "ResourceQuota"): limits.validate_quota_update,
    ("apps", "Deployment"): workloads.validate_selector_unchanged,
    ("apps", "ReplicaSet"): workloads.validate_selector_unchanged,
    ("apps", "DaemonSet"): workloads.validate_selector_unchanged,
    ("apps", "StatefulSet"): workloads.validate_stateful_set_update,
    ("batch", "Job"): jobs.validate_job_update,
    ("discovery.k8s.io", "EndpointSlice"): config.validate_endpoint_slice_update,
    ("networking.k8s.io", "IngressClass"): _ingress_class_update,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class_update,
    (_RBAC, "RoleBinding"): config.validate_binding_update,
    (_RBAC, "ClusterRoleBinding"): config.validate_binding_update,
}
