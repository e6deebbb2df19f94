"""The resources that components read and write, by the names client-go uses for them.

A constant is a `GroupVersionResource`; `kind_of` gives the kind that a created object must carry.
"""

from __future__ import annotations

from apiserver.api.gvk import GroupVersionResource

_KINDS: dict[GroupVersionResource, str] = {}


def _resource(group: str, version: str, plural: str, kind: str) -> GroupVersionResource:
    gvr = GroupVersionResource(group, version, plural)
    _KINDS[gvr] = kind
    return gvr


BINDINGS = _resource("", "v1", "bindings", "Binding")
CONFIG_MAPS = _resource("", "v1", "configmaps", "ConfigMap")
ENDPOINTS = _resource("", "v1", "endpoints", "Endpoints")
EVENTS = _resource("", "v1", "events", "Event")
LIMIT_RANGES = _resource("", "v1", "limitranges", "LimitRange")
NAMESPACES = _resource("", "v1", "namespaces", "Namespace")
NODES = _resource("", "v1", "nodes", "Node")
PERSISTENT_VOLUME_CLAIMS = _resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUMES = _resource("", "v1", "persistentvolumes", "PersistentVolume")
PODS = _resource("", "v1", "pods", "Pod")
POD_TEMPLATES = _resource("", "v1", "podtemplates", "PodTemplate")
REPLICATION_CONTROLLERS = _resource("", "v1", "replicationcontrollers", "ReplicationController")
RESOURCE_QUOTAS = _resource("", "v1", "resourcequotas", "ResourceQuota")
SECRETS = _resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = _resource("", "v1", "serviceaccounts", "ServiceAccount")
SERVICES = _resource("", "v1", "services", "Service")

CONTROLLER_REVISIONS = _resource("apps", "v1", "controllerrevisions", "ControllerRevision")
DAEMON_SETS = _resource("apps", "v1", "daemonsets", "DaemonSet")
DEPLOYMENTS = _resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = _resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = _resource("apps", "v1", "statefulsets", "StatefulSet")

CRON_JOBS = _resource("batch", "v1", "cronjobs", "CronJob")
JOBS = _resource("batch", "v1", "jobs", "Job")

HORIZONTAL_POD_AUTOSCALERS = _resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
)
LEASES = _resource("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICES = _resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
POD_DISRUPTION_BUDGETS = _resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PRIORITY_CLASSES = _resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass")
CUSTOM_RESOURCE_DEFINITIONS = _resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)
CERTIFICATE_SIGNING_REQUESTS = _resource(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest"
)
CLUSTER_ROLES = _resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
CLUSTER_ROLE_BINDINGS = _resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"
)
ROLES = _resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = _resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


def kind_of(gvr: GroupVersionResource) -> str:
    """The kind of one of the constants above; an unknown resource is a KeyError."""
    return _KINDS[gvr]
