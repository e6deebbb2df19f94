"""Which printer prints which kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from apiserver.http.printers import (
    admission,
    autoscalers,
    classes,
    config,
    events,
    network,
    pods,
    policy,
    services,
    workloads,
)

Object = dict[str, Any]

PRINTERS: Final[dict[tuple[str, str], Callable[[Object, datetime], list[Any]]]] = {
    ("", "Pod"): pods.pod,
    ("", "ReplicationController"): workloads.replication_controller,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("", "PodTemplate"): workloads.pod_template,
    ("apps", "ControllerRevision"): workloads.controller_revision,
    ("", "ResourceQuota"): config.resource_quota,
    ("", "ComponentStatus"): config.component_status,
    ("", "Service"): services.service,
    ("", "Endpoints"): services.endpoints,
    ("discovery.k8s.io", "EndpointSlice"): network.endpoint_slice,
    ("networking.k8s.io", "Ingress"): network.ingress,
    ("networking.k8s.io", "NetworkPolicy"): network.network_policy,
    ("", "Node"): config.node,
    ("", "Namespace"): config.namespace,
    ("", "ConfigMap"): config.config_map,
    ("", "Secret"): config.secret,
    ("", "Event"): events.event,
    ("events.k8s.io", "Event"): events.event,
    ("", "PersistentVolumeClaim"): config.claim,
    ("", "PersistentVolume"): config.volume,
    ("storage.k8s.io", "StorageClass"): config.storage_class,
    ("coordination.k8s.io", "Lease"): policy.lease,
    ("scheduling.k8s.io", "PriorityClass"): policy.priority_class,
    ("policy", "PodDisruptionBudget"): policy.disruption_budget,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscalers.autoscaler,
    ("rbac.authorization.k8s.io", "RoleBinding"): policy.role_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): policy.role_binding,
    ("certificates.k8s.io", "CertificateSigningRequest"): policy.signing_request,
    ("storage.k8s.io", "CSIDriver"): classes.csi_driver,
    ("storage.k8s.io", "CSINode"): classes.csi_node,
    ("storage.k8s.io", "VolumeAttachment"): classes.volume_attachment,
    ("storage.k8s.io", "VolumeAttributesClass"): classes.attributes_class,
    ("node.k8s.io", "RuntimeClass"): classes.runtime_class,
    ("networking.k8s.io", "IngressClass"): classes.ingress_class,
    ("networking.k8s.io", "IPAddress"): classes.ip_address,
    ("networking.k8s.io", "ServiceCIDR"): classes.service_cidr,
    ("resource.k8s.io", "ResourceClaim"): classes.resource_claim,
    ("resource.k8s.io", "ResourceSlice"): classes.resource_slice,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): admission.webhooks,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): admission.webhooks,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): admission.validating_policy,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): admission.mutating_policy,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): admission.policy_binding,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): admission.policy_binding,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): admission.flow_schema,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): admission.priority_level,
    ("apiregistration.k8s.io", "APIService"): admission.api_service,
}
