"""The controllers of the manager by the original's names."""

from __future__ import annotations

from collections.abc import Callable

from components.controllers.clusterroleaggregation.controller import ClusterRoleAggregation
from components.controllers.common.context import Controller, ControllerContext
from components.controllers.csrapproving.controller import CertificateApprover
from components.controllers.csrsigning.controller import CertificateSigner
from components.controllers.deployment.controller import DeploymentController
from components.controllers.disruption.controller import DisruptionController
from components.controllers.endpoints.controller import EndpointsController
from components.controllers.endpointslice.controller import EndpointSliceController
from components.controllers.garbagecollector.controller import GarbageCollector
from components.controllers.namespace.controller import NamespaceController
from components.controllers.nodelifecycle.controller import NodeLifecycleController
from components.controllers.podgc.controller import PodGarbageCollector
from components.controllers.replicaset.controller import (
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    ReplicaController,
)
from components.controllers.resourcequota.controller import ResourceQuotaController
from components.controllers.rootca.controller import root_ca_publisher
from components.controllers.serviceaccount.controller import service_account_controller
from components.controllers.tokencleaner.controller import TokenCleaner

CONTROLLERS: dict[str, Callable[[ControllerContext], Controller]] = {
    "serviceaccount-controller": service_account_controller,
    "root-ca-certificate-publisher-controller": root_ca_publisher,
    "deployment-controller": DeploymentController,
    "replicaset-controller": lambda context: ReplicaController(
        context, REPLICA_SET, context.options.concurrent_replicaset_syncs
    ),
    "replicationcontroller-controller": lambda context: ReplicaController(
        context, REPLICATION_CONTROLLER, context.options.concurrent_rc_syncs
    ),
    "endpointslice-controller": EndpointSliceController,
    "endpoints-controller": EndpointsController,
    "namespace-controller": NamespaceController,
    "node-lifecycle-controller": NodeLifecycleController,
    "garbage-collector-controller": GarbageCollector,
    "pod-garbage-collector-controller": PodGarbageCollector,
    "disruption-controller": DisruptionController,
    "resourcequota-controller": ResourceQuotaController,
    "clusterrole-aggregation-controller": ClusterRoleAggregation,
    "token-cleaner-controller": TokenCleaner,
    "certificatesigningrequest-approving-controller": CertificateApprover,
    "certificatesigningrequest-signing-controller": CertificateSigner,
}

KEYS: dict[str, tuple[str, str]] = {
    # controller: (group, resource) of what its keys name
    "serviceaccount-controller": ("", "namespaces"),
    "root-ca-certificate-publisher-controller": ("", "namespaces"),
    "deployment-controller": ("apps", "deployments"),
    "replicaset-controller": ("apps", "replicasets"),
    "replicationcontroller-controller": ("", "replicationcontrollers"),
    "endpointslice-controller": ("", "services"),
    "endpoints-controller": ("", "services"),
    "namespace-controller": ("", "namespaces"),
    "node-lifecycle-controller": ("", "nodes"),
    "disruption-controller": ("policy", "poddisruptionbudgets"),
    "resourcequota-controller": ("", "resourcequotas"),
    "clusterrole-aggregation-controller": ("rbac.authorization.k8s.io", "clusterroles"),
    "token-cleaner-controller": ("", "secrets"),
    "certificatesigningrequest-approving-controller": ("certificates.k8s.io", "certificatesigningrequests"),
    "certificatesigningrequest-signing-controller": ("certificates.k8s.io", "certificatesigningrequests"),
}
"""For `components.client.activity`; one whose keys name no single object is not in it."""
