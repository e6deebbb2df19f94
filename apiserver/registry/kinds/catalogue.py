"""Which strategy belongs to which kind; kinds not listed get the base strategy."""

from __future__ import annotations

from typing import Final

from apiserver.registry.kinds import (
    apiextensions,
    autoscaling,
    batch,
    certificates,
    core,
    devices,
    events,
    networking,
    pod,
    policy,
    service,
    volumes,
    workloads,
)
from apiserver.registry.strategy import Strategy

_STRATEGIES: Final[dict[tuple[str, str], type[Strategy]]] = {
    ("", "Pod"): pod.PodStrategy,
    ("", "PodTemplate"): workloads.PodTemplateStrategy,
    ("", "ReplicationController"): workloads.ReplicationControllerStrategy,
    ("", "Service"): service.ServiceStrategy,
    ("", "Namespace"): core.NamespaceStrategy,
    ("", "Node"): core.NodeStrategy,
    ("", "ServiceAccount"): core.ServiceAccountStrategy,
    ("", "Secret"): core.SecretStrategy,
    ("", "LimitRange"): core.LimitRangeStrategy,
    ("", "ResourceQuota"): core.ResourceQuotaStrategy,
    ("", "Endpoints"): core.EndpointsStrategy,
    ("", "Event"): events.EventStrategy,
    ("events.k8s.io", "Event"): events.EventV1Strategy,
    ("", "PersistentVolume"): volumes.PersistentVolumeStrategy,
    ("", "PersistentVolumeClaim"): volumes.PersistentVolumeClaimStrategy,
    ("apps", "Deployment"): workloads.DeploymentStrategy,
    ("apps", "ReplicaSet"): workloads.ReplicaSetStrategy,
    ("apps", "StatefulSet"): workloads.StatefulSetStrategy,
    ("apps", "DaemonSet"): workloads.DaemonSetStrategy,
    ("batch", "Job"): batch.JobStrategy,
    ("batch", "CronJob"): batch.CronJobStrategy,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaling.HorizontalPodAutoscalerStrategy,
    ("certificates.k8s.io", "CertificateSigningRequest"): certificates.CertificateSigningRequestStrategy,
    ("networking.k8s.io", "Ingress"): networking.IngressStrategy,
    ("networking.k8s.io", "IngressClass"): networking.IngressClassStrategy,
    ("networking.k8s.io", "NetworkPolicy"): networking.NetworkPolicyStrategy,
    ("networking.k8s.io", "ServiceCIDR"): networking.ServiceCIDRStrategy,
    ("discovery.k8s.io", "EndpointSlice"): networking.EndpointSliceStrategy,
    ("policy", "PodDisruptionBudget"): policy.PodDisruptionBudgetStrategy,
    ("coordination.k8s.io", "Lease"): policy.LeaseStrategy,
    ("rbac.authorization.k8s.io", "Role"): policy.RoleStrategy,
    ("rbac.authorization.k8s.io", "ClusterRole"): policy.RoleStrategy,
    ("rbac.authorization.k8s.io", "RoleBinding"): policy.RoleBindingStrategy,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): policy.RoleBindingStrategy,
    ("scheduling.k8s.io", "PriorityClass"): policy.PriorityClassStrategy,
    ("node.k8s.io", "RuntimeClass"): volumes.ConditionalStrategy,
    ("storage.k8s.io", "StorageClass"): volumes.StorageClassStrategy,
    ("storage.k8s.io", "CSIDriver"): volumes.CSIDriverStrategy,
    ("storage.k8s.io", "CSINode"): volumes.ConditionalStrategy,
    ("storage.k8s.io", "CSIStorageCapacity"): volumes.ConditionalStrategy,
    ("storage.k8s.io", "VolumeAttachment"): volumes.VolumeAttachmentStrategy,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): policy.WebhookStrategy,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): policy.WebhookStrategy,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): policy.AdmissionPolicyStrategy,
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
    ): policy.AdmissionPolicyBindingStrategy,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): policy.MutatingPolicyStrategy,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): policy.AdmissionPolicyBindingStrategy,
    ("resource.k8s.io", "DeviceClass"): networking.GenerationStrategy,
    ("resource.k8s.io", "ResourceSlice"): devices.ResourceSliceStrategy,
    ("resource.k8s.io", "ResourceClaim"): devices.ResourceClaimStrategy,
    ("resource.k8s.io", "ResourceClaimTemplate"): devices.ResourceClaimTemplateStrategy,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): policy.FlowSchemaStrategy,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): policy.PriorityLevelStrategy,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): apiextensions.CustomResourceDefinitionStrategy,
    ("apiregistration.k8s.io", "APIService"): policy.APIServiceStrategy,
}


def has_own_strategy(group: str, kind: str) -> bool:
    return (group, kind) in _STRATEGIES


def strategy_class(group: str, kind: str) -> type[Strategy]:
    return _STRATEGIES.get((group, kind), Strategy)
