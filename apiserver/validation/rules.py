"""Which validation belongs to which kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path
from apiserver.validation import (
    admission_expressions,
    admission_policies,
    api_services,
    autoscalers,
    classes,
    config,
    csi,
    device_claims,
    endpoints,
    events,
    flow_schemas,
    ingresses,
    jobs,
    limits,
    network_policies,
    nodes,
    persistent,
    pods,
    priority_levels,
    rbac,
    resource_slices,
    secrets,
    service_addresses,
    services,
    signing_requests,
    storage_classes,
    workloads,
)

Object = dict[str, Any]
Rule = Callable[[Object, Mapping[str, Any]], list[FieldError]]
UpdateRule = Callable[[Object, Object, Mapping[str, Any]], list[FieldError]]

_ADMISSION: Final = "admissionregistration.k8s.io"
_CERTIFICATES: Final = "certificates.k8s.io"
_FLOW: Final = "flowcontrol.apiserver.k8s.io"
_NETWORKING: Final = "networking.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_RESOURCE: Final = "resource.k8s.io"
_STORAGE: Final = "storage.k8s.io"

_NAME_RULES: Final[dict[tuple[str, str], Callable[[str], list[str]]]] = {
    ("", "Service"): names.check_dns1123_label,
    ("", "Namespace"): names.check_dns1123_label,
    ("", "Event"): names.check_path_segment,
    ("apiregistration.k8s.io", "APIService"): names.check_path_segment,
    ("policy", "PodDisruptionBudget"): names.check_path_segment,
    (_RBAC, "Role"): names.check_path_segment,
    (_RBAC, "ClusterRole"): names.check_path_segment,
    (_RBAC, "RoleBinding"): names.check_path_segment,
    (_RBAC, "ClusterRoleBinding"): names.check_path_segment,
    (_CERTIFICATES, "CertificateSigningRequest"): names.check_path_segment,
    (_NETWORKING, "IPAddress"): service_addresses.check_address_name,
}


def name_rule(group: str, kind: str) -> Callable[[str], list[str]]:
    return _NAME_RULES.get((group, kind), names.check_dns1123_subdomain)


def _pod_template(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    return pods.validate_template(obj.get("template") or {}, Path("template"))


CREATE_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Pod"): pods.validate_pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): workloads.validate_controller,
    ("", "Service"): services.validate_service,
    ("", "ConfigMap"): config.validate_config_map,
    ("", "Secret"): secrets.validate_secret,
    ("", "Event"): events.validate_event,
    ("", "PersistentVolume"): persistent.validate_volume,
    ("", "PersistentVolumeClaim"): persistent.validate_claim,
    ("", "Node"): nodes.validate_node,
    ("", "LimitRange"): limits.validate_limit_range,
    ("", "ResourceQuota"): limits.validate_quota,
    ("apps", "ControllerRevision"): workloads.validate_revision,
    ("apps", "Deployment"): workloads.validate_deployment,
    ("apps", "ReplicaSet"): workloads.validate_replica_set,
    ("apps", "StatefulSet"): workloads.validate_stateful_set,
    ("apps", "DaemonSet"): workloads.validate_daemon_set,
    ("batch", "Job"): jobs.validate_job,
    ("batch", "CronJob"): jobs.validate_cron_job,
    ("policy", "PodDisruptionBudget"): workloads.validate_budget,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscalers.validate_autoscaler,
    ("apiregistration.k8s.io", "APIService"): api_services.validate_api_service,
    ("coordination.k8s.io", "Lease"): classes.validate_lease,
    ("events.k8s.io", "Event"): events.validate_event,
    ("node.k8s.io", "RuntimeClass"): classes.validate_runtime_class,
    (_ADMISSION, "ValidatingAdmissionPolicy"): admission_expressions.validate_policy,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): admission_policies.validate_binding,
    (_ADMISSION, "MutatingAdmissionPolicy"): admission_expressions.validate_mutating_policy,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): admission_policies.validate_mutating_binding,
    (_FLOW, "FlowSchema"): flow_schemas.validate_flow_schema,
    (_FLOW, "PriorityLevelConfiguration"): priority_levels.validate_priority_level,
    (_NETWORKING, "IngressClass"): ingresses.validate_ingress_class,
    (_RBAC, "Role"): rbac.validate_role,
    (_RBAC, "ClusterRole"): rbac.validate_cluster_role,
    (_RBAC, "RoleBinding"): rbac.validate_role_binding,
    (_RBAC, "ClusterRoleBinding"): rbac.validate_cluster_role_binding,
    (_RESOURCE, "DeviceClass"): device_claims.validate_class,
    (_STORAGE, "CSIDriver"): csi.validate_driver,
    (_STORAGE, "CSINode"): csi.validate_node,
    (_STORAGE, "CSIStorageCapacity"): csi.validate_capacity,
    (_STORAGE, "StorageClass"): storage_classes.validate_storage_class,
    (_STORAGE, "VolumeAttachment"): csi.validate_attachment,
}
NEW_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Pod"): pods.validate_new_pod,
    ("", "Endpoints"): endpoints.validate_new_endpoints,
    ("batch", "CronJob"): jobs.validate_new_cron_job,
    ("batch", "Job"): jobs.validate_new_job,
    ("discovery.k8s.io", "EndpointSlice"): endpoints.validate_new_slice,
    ("events.k8s.io", "Event"): events.validate_new_event_v1,
    ("scheduling.k8s.io", "PriorityClass"): classes.validate_new_priority_class,
    (_ADMISSION, "ValidatingWebhookConfiguration"): admission_expressions.validate_new_webhooks,
    (_ADMISSION, "MutatingWebhookConfiguration"): admission_expressions.validate_new_webhooks,
    (_CERTIFICATES, "CertificateSigningRequest"): signing_requests.validate_new_request,
    (_NETWORKING, "Ingress"): ingresses.validate_new_ingress,
    (_NETWORKING, "IPAddress"): service_addresses.validate_address,
    (_NETWORKING, "NetworkPolicy"): network_policies.validate_new_policy,
    (_NETWORKING, "ServiceCIDR"): service_addresses.validate_service_cidr,
    (_RESOURCE, "ResourceClaim"): device_claims.validate_new_claim,
    (_RESOURCE, "ResourceClaimTemplate"): device_claims.validate_new_claim_template,
    (_RESOURCE, "ResourceSlice"): resource_slices.validate_new_slice,
    (_STORAGE, "VolumeAttachment"): csi.validate_new_attachment,
    (_STORAGE, "VolumeAttributesClass"): storage_classes.validate_attributes_class,
}
"""For new objects only; those of `CREATE_RULES` hold for changed ones, too."""
UPDATE_RULES: Final[dict[tuple[str, str], UpdateRule]] = {
    ("", "Pod"): pods.validate_pod_update,
    ("", "Service"): services.validate_service_update,
    ("", "ConfigMap"): config.validate_frozen,
    ("", "Secret"): config.validate_secret_update,
    ("", "Endpoints"): endpoints.validate_endpoints_update,
    ("", "PersistentVolumeClaim"): persistent.validate_claim_update,
    ("", "PersistentVolume"): persistent.validate_volume_update,
    ("", "Node"): nodes.validate_node_update,
    ("", "ResourceQuota"): limits.validate_quota_update,
    ("apps", "ControllerRevision"): workloads.validate_revision_update,
    ("apps", "Deployment"): workloads.validate_selector_unchanged,
    ("apps", "ReplicaSet"): workloads.validate_selector_unchanged,
    ("apps", "DaemonSet"): workloads.validate_selector_unchanged,
    ("apps", "StatefulSet"): workloads.validate_stateful_set_update,
    ("batch", "Job"): jobs.validate_job_update,
    ("discovery.k8s.io", "EndpointSlice"): endpoints.validate_slice_update,
    ("events.k8s.io", "Event"): events.validate_event_update_v1,
    ("node.k8s.io", "RuntimeClass"): classes.validate_runtime_class_update,
    ("scheduling.k8s.io", "PriorityClass"): classes.validate_priority_class_update,
    (_ADMISSION, "ValidatingWebhookConfiguration"): admission_expressions.validate_webhooks_update,
    (_ADMISSION, "MutatingWebhookConfiguration"): admission_expressions.validate_webhooks_update,
    (_NETWORKING, "Ingress"): ingresses.validate_ingress_update,
    (_NETWORKING, "IngressClass"): ingresses.validate_ingress_class_update,
    (_NETWORKING, "IPAddress"): service_addresses.validate_address_update,
    (_NETWORKING, "NetworkPolicy"): network_policies.validate_policy_update,
    (_NETWORKING, "ServiceCIDR"): service_addresses.validate_service_cidr_update,
    (_RBAC, "RoleBinding"): rbac.validate_binding_update,
    (_RBAC, "ClusterRoleBinding"): rbac.validate_binding_update,
    (_RESOURCE, "ResourceClaim"): device_claims.validate_spec_unchanged,
    (_RESOURCE, "ResourceClaimTemplate"): device_claims.validate_spec_unchanged,
    (_RESOURCE, "ResourceSlice"): resource_slices.validate_slice_update,
    (_STORAGE, "CSIDriver"): csi.validate_driver_update,
    (_STORAGE, "CSINode"): csi.validate_node_update,
    (_STORAGE, "CSIStorageCapacity"): csi.validate_capacity_update,
    (_STORAGE, "StorageClass"): storage_classes.validate_storage_class_update,
    (_STORAGE, "VolumeAttachment"): csi.validate_attachment_update,
    (_STORAGE, "VolumeAttributesClass"): storage_classes.validate_attributes_class_update,
}
NO_RULES: Final[Mapping[tuple[str, str], str]] = {
    ("", "Namespace"): "its spec belongs to the server; the name has its own rule, the phase its own check",
    ("", "ServiceAccount"): "ValidateServiceAccount checks the metadata alone",
    ("", "Binding"): "never stored; the handler of the subresource checks the target",
    ("", "ComponentStatus"): "never written",
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
    ): "checked by the package that serves custom resources",
    ("authentication.k8s.io", "SelfSubjectReview"): "never stored, and has no input",
    ("authentication.k8s.io", "TokenReview"): "never stored; the handler checks the token",
    ("authorization.k8s.io", "LocalSubjectAccessReview"): "never stored; see access_reviews.py",
    ("authorization.k8s.io", "SelfSubjectAccessReview"): "never stored; see access_reviews.py",
    ("authorization.k8s.io", "SelfSubjectRulesReview"): "never stored; see access_reviews.py",
    ("authorization.k8s.io", "SubjectAccessReview"): "never stored; see access_reviews.py",
}
"""Kinds without rules of their own, and why."""
METADATA_ON_UPDATE: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *(("", "ConfigMap"), ("", "Endpoints"), ("", "Namespace"), ("", "Node"), ("", "Pod")),
            *(("", "PersistentVolumeClaim"), ("", "ReplicationController"), ("", "Secret"), ("", "Service")),
            *(
                ("", "ServiceAccount"),
                ("apiregistration.k8s.io", "APIService"),
                ("apps", "ControllerRevision"),
            ),
            *(
                ("batch", "Job"),
                ("node.k8s.io", "RuntimeClass"),
                (_CERTIFICATES, "CertificateSigningRequest"),
            ),
            *(
                (_NETWORKING, "Ingress"),
                (_NETWORKING, "IngressClass"),
                (_RBAC, "Role"),
                (_RBAC, "ClusterRole"),
            ),
            *((_RBAC, "RoleBinding"), (_RBAC, "ClusterRoleBinding"), (_RESOURCE, "DeviceClass")),
            *((_RESOURCE, "ResourceClaim"), (_STORAGE, "CSIStorageCapacity"), (_STORAGE, "StorageClass")),
            (_STORAGE, "VolumeAttributesClass"),
        ),
        ("update", "full"),
    ),
    **dict.fromkeys(
        (
            *(("", "LimitRange"), ("discovery.k8s.io", "EndpointSlice"), (_FLOW, "FlowSchema")),
            *((_FLOW, "PriorityLevelConfiguration"), (_ADMISSION, "MutatingAdmissionPolicy")),
            *((_ADMISSION, "MutatingAdmissionPolicyBinding"), (_ADMISSION, "MutatingWebhookConfiguration")),
            *((_ADMISSION, "ValidatingAdmissionPolicy"), (_ADMISSION, "ValidatingAdmissionPolicyBinding")),
            (_ADMISSION, "ValidatingWebhookConfiguration"),
        ),
        ("full",),
    ),
    **dict.fromkeys(
        (("", "PersistentVolume"), (_STORAGE, "CSINode"), (_STORAGE, "VolumeAttachment")), ("full", "full")
    ),
    ("", "Event"): (),
    ("policy", "PodDisruptionBudget"): (),
}
"""What of the metadata an update has checked by the kind's own validation, after the registry: as new ("full"), against
the old ("update", the only one for most kinds). What is wrong is told as often."""
CHECKED_TWICE: Final = frozenset((("batch", "Job"), (_STORAGE, "CSINode"), (_STORAGE, "VolumeAttachment")))
"""Kinds whose update checks the whole new object, and does it again with the old one at hand."""
