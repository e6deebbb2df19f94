"""What Go's JSON encoder writes for a struct that the OpenAPI definitions do not tell.

Two facts about Go types are missing there: which optional fields are pointers (their zero values are
written, others are dropped by ``omitempty``), and which are plain structs or lists without ``omitempty``
(written even when nobody set them). Both are tables here, taken from the types of ``k8s.io/api`` 1.36. A
field missing from the first table costs at worst an explicit zero; so numbers are kept unless listed,
strings and booleans dropped unless listed.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from apiserver.schema.types import ApiType, Kind

# Fields of pointer type whose "" is written; "Type.field" or "field" of any type.
_POINTER_STRINGS: Final = frozenset(
    [
        "storageClassName",
        "volumeMode",
        "apiGroup",
        "HostPathVolumeSource.type",
        "ingressClassName",
        "runtimeClassName",
        "preemptionPolicy",
        "appProtocol",
        "GRPCAction.service",
        "EndpointPort.name",
        "EndpointPort.protocol",
        "Endpoint.hostname",
        "Endpoint.nodeName",
        "Endpoint.zone",
        "EndpointAddress.nodeName",
        "volumeAttributesClassName",
        "currentVolumeAttributesClassName",
        "holderIdentity",
        "strategy",
        "preferredHolder",
        "timeZone",
        "fsGroupPolicy",
        "VolumeAttachmentSource.persistentVolumeName",
        "loadBalancerClass",
        "ServiceReference.path",
        "WebhookClientConfig.url",
        "trafficDistribution",
    ]
)
# Boolean fields of plain type: false is dropped. All other booleans are pointers.
_PLAIN_BOOLEANS: Final = frozenset(
    [
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "readOnly",
        "unschedulable",
        "publishNotReadyAddresses",
        "stdin",
        "stdinOnce",
        "tty",
        "paused",
        "globalDefault",
    ]
)
# Integer fields of plain type: 0 is dropped.
_PLAIN_INTEGERS: Final = frozenset(
    [
        "minReadySeconds",
        "hostPort",
        "nodePort",
        "healthCheckNodePort",
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
        "generation",
        "observedGeneration",
        "DeploymentStatus.replicas",
        "count",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "fullyLabeledReplicas",
        "currentReplicas",
        "DaemonSetStatus.updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "active",
        "succeeded",
        "failed",
    ]
)
_PLAIN_INTEGER_EXCEPTIONS: Final = frozenset(
    [
        "ValidatingWebhook.timeoutSeconds",
        "MutatingWebhook.timeoutSeconds",
        "ClientIPConfig.timeoutSeconds",
        "HPAScalingPolicy.periodSeconds",
    ]
)
# Struct fields that are not pointers: written as {} even when absent. Lists and times without omitempty: null.
_ALWAYS: Final[dict[str, dict[str, Any]]] = {
    "Pod": {"metadata": {}, "spec": {}, "status": {}},
    "Container": {"resources": {}},
    "Deployment": {"spec": {}, "status": {}},
    "DeploymentSpec": {"template": {}, "strategy": {}},
    "ReplicaSet": {"spec": {}, "status": {"replicas": 0}},
    "ReplicaSetSpec": {"template": {}},
    "StatefulSet": {"spec": {}, "status": {"replicas": 0, "availableReplicas": 0}},
    "StatefulSetSpec": {"template": {}, "updateStrategy": {}},
    "StatefulSetStatus": {"availableReplicas": 0},
    "DaemonSet": {
        "spec": {},
        "status": {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
    },
    "DaemonSetSpec": {"template": {}, "updateStrategy": {}},
    "ReplicationController": {"spec": {}, "status": {"replicas": 0}},
    "PodTemplate": {"template": {}},
    "PodTemplateSpec": {"metadata": {}, "spec": {}},
    "JobTemplateSpec": {"metadata": {}, "spec": {}},
    "Job": {"spec": {}, "status": {}},
    "JobSpec": {"template": {}},
    "CronJob": {"spec": {}, "status": {}},
    "CronJobSpec": {"jobTemplate": {}},
    "Service": {"spec": {}, "status": {"loadBalancer": {}}},
    "ServiceStatus": {"loadBalancer": {}},
    "Namespace": {"spec": {}, "status": {}},
    "Node": {"spec": {}, "status": {}},
    "NodeStatus": {"daemonEndpoints": {}, "nodeInfo": {}},
    "NodeDaemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
    "PersistentVolume": {"spec": {}, "status": {}},
    "PersistentVolumeClaim": {"spec": {}, "status": {}},
    "PersistentVolumeClaimSpec": {"resources": {}},
    "TypedLocalObjectReference": {"apiGroup": None},
    "TypedObjectReference": {"apiGroup": None},
    "LimitRange": {"spec": {}},
    "LimitRangeSpec": {"limits": None},
    "ResourceQuota": {"spec": {}, "status": {}},
    "PodDisruptionBudget": {
        "spec": {},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    },
    "Ingress": {"spec": {}, "status": {"loadBalancer": {}}},
    "IngressStatus": {"loadBalancer": {}},
    "IngressServiceBackend": {"port": {}},
    "IngressClass": {"spec": {}},
    "NetworkPolicy": {"spec": {}},
    "NetworkPolicySpec": {"podSelector": {}},
    "Lease": {"spec": {}},
    "Endpoint": {"conditions": {}, "addresses": None},
    "EndpointSlice": {"endpoints": None, "ports": None},
    "CSINode": {"spec": {}},
    "CSINodeSpec": {"drivers": None},
    "CSIDriver": {"spec": {}},
    "VolumeAttachment": {"spec": {}, "status": {"attached": False}},
    "VolumeAttachmentSpec": {"source": {}},
    "CertificateSigningRequest": {"spec": {}, "status": {}},
    "ValidatingAdmissionPolicy": {"spec": {}, "status": {}},
    "ValidatingAdmissionPolicyBinding": {"spec": {}},
    "ValidatingWebhook": {"clientConfig": {}, "sideEffects": None, "admissionReviewVersions": None},
    "MutatingWebhook": {"clientConfig": {}, "sideEffects": None, "admissionReviewVersions": None},
    "DeviceClass": {"spec": {}},
    "ResourceClaim": {"spec": {}, "status": {}},
    "ResourceClaimSpec": {"devices": {}},
    "ResourceClaimTemplate": {"spec": {}},
    "ResourceClaimTemplateSpec": {"metadata": {}, "spec": {}},
    "ResourceSlice": {"spec": {}},
    "FlowSchema": {"spec": {}},
    "PriorityLevelConfiguration": {"spec": {}},
    "APIService": {"spec": {}, "status": {}},
    "Role": {"rules": None},
    "ClusterRole": {"rules": None},
    "RoleBinding": {"roleRef": {}},
    "ClusterRoleBinding": {"roleRef": {}},
    "ContainerStatus": {"state": {}, "lastState": {}},
    "PodCondition": {"lastProbeTime": None, "lastTransitionTime": None},
    "NodeCondition": {"lastHeartbeatTime": None, "lastTransitionTime": None},
    "DeploymentCondition": {"lastUpdateTime": None, "lastTransitionTime": None},
    "ReplicaSetCondition": {"lastTransitionTime": None},
    "ReplicationControllerCondition": {"lastTransitionTime": None},
    "StatefulSetCondition": {"lastTransitionTime": None},
    "DaemonSetCondition": {"lastTransitionTime": None},
    "JobCondition": {"lastProbeTime": None, "lastTransitionTime": None},
    "NamespaceCondition": {"lastTransitionTime": None},
    "PersistentVolumeClaimCondition": {"lastProbeTime": None, "lastTransitionTime": None},
    "CertificateSigningRequestCondition": {"lastUpdateTime": None, "lastTransitionTime": None},
    "Condition": {"lastTransitionTime": None},
    "HorizontalPodAutoscalerCondition": {"lastTransitionTime": None},
    "FlowSchemaCondition": {"lastTransitionTime": None},
    "PriorityLevelConfigurationCondition": {"lastTransitionTime": None},
    "APIServiceCondition": {"lastTransitionTime": None},
}
_NODE_INFO: Final = [
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
]
_ALWAYS["NodeSystemInfo"] = dict.fromkeys(_NODE_INFO, "")
_EVENT_V1: Final[dict[str, Any]] = {
    "eventTime": None,
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
    "regarding": {},
}
_EVENT_CORE: Final[dict[str, Any]] = {
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
    "involvedObject": {},
}
_HPA_V2: Final = {"spec": {}, "status": {"desiredReplicas": 0, "currentMetrics": None}}
_HPA_V1: Final = {"spec": {}, "status": {"currentReplicas": 0, "desiredReplicas": 0}}
_EMPTY: Final = {
    Kind.STRING: "",
    Kind.BYTES: "",
    Kind.INTEGER: 0,
    Kind.NUMBER: 0,
    Kind.BOOLEAN: False,
    Kind.QUANTITY: "0",
}


def zero(api_type: ApiType) -> Any:
    """What null means as a list item or map value."""
    return {} if api_type.kind in (Kind.STRUCT, Kind.MAP) else _EMPTY.get(api_type.kind)


def _always(api_type: ApiType) -> dict[str, Any]:
    if api_type.name == "Event":
        return _EVENT_V1 if "regarding" in api_type.fields else _EVENT_CORE
    if api_type.name == "HorizontalPodAutoscaler":
        spec = api_type.fields["spec"].type
        return _HPA_V2 if "metrics" in spec.fields else _HPA_V1
    return _ALWAYS.get(api_type.name, {})


def keeps_null(owner: str, name: str) -> bool:
    """Whether an explicit null is written as null (pointers, lists and times without omitempty)."""
    entry = _ALWAYS.get(owner, {})
    return name in entry and entry[name] is None


def keeps_zero(owner: str, name: str, api_type: ApiType) -> bool:
    """Whether an optional field's zero value survives."""
    qualified = f"{owner}.{name}"
    match api_type.kind:
        case Kind.STRING:
            return qualified in _POINTER_STRINGS or name in _POINTER_STRINGS
        case Kind.BOOLEAN:
            if qualified in ("CSIVolumeSource.readOnly",):
                return True
            return name not in _PLAIN_BOOLEANS and qualified not in _PLAIN_BOOLEANS
        case Kind.INTEGER:
            if qualified in _PLAIN_INTEGER_EXCEPTIONS:
                return True
            return name not in _PLAIN_INTEGERS and qualified not in _PLAIN_INTEGERS
        case Kind.LIST | Kind.MAP | Kind.BYTES:
            return False
    return True


def complete(api_type: ApiType, value: dict[str, Any]) -> dict[str, Any]:
    """Add in place what Go writes even when absent."""
    for name, content in _always(api_type).items():
        present = value.get(name)
        if name in value and not (present == {} and content):
            if present == [] and content is None:
                value[name] = None
            continue
        known = api_type.fields.get(name)
        if known is None:
            continue
        filled = copy.deepcopy(content) if content else copy.copy(content)
        value[name] = complete(known.type, filled) if isinstance(filled, dict) else filled
    return value
