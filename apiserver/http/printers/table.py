"""Which printer prints which kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from apiserver.http.printers import autoscalers, config, events, network, pods, policy, services, workloads

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
}
