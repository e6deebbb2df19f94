"""Settings of the controller manager: the supported flags of kube-controller-manager, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ControllerOptions:
    """Durations are seconds. `controllers` is the original's list: `*` for all, `name`, `-name`."""

    controllers: tuple[str, ...] = ("*",)
    concurrent_deployment_syncs: int = 5
    concurrent_endpoint_syncs: int = 5
    concurrent_gc_syncs: int = 20
    concurrent_namespace_syncs: int = 10
    concurrent_rc_syncs: int = 5
    concurrent_replicaset_syncs: int = 5
    concurrent_resource_quota_syncs: int = 5
    concurrent_service_endpoint_syncs: int = 5
    concurrent_serviceaccount_token_syncs: int = 5
    max_endpoints_per_slice: int = 100
    node_monitor_period: float = 5.0
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    large_cluster_size_threshold: int = 50
    unhealthy_zone_threshold: float = 0.55
    terminated_pod_gc_threshold: int = 12500
    resource_quota_sync_period: float = 300.0
    root_ca: str = ""
    root_ca_file: Path | None = None  # followed: what it says later replaces `root_ca`
    enable_garbage_collector: bool = True
    cluster_signing_cert_file: Path | None = None
    cluster_signing_key_file: Path | None = None
    cluster_signing_duration: float = 365 * 24 * 3600.0

    def enabled(self, name: str) -> bool:
        """As the original: a later word does not override; `-name` beats `*`, `name` beats both."""
        if name in self.controllers:
            return True
        return f"-{name}" not in self.controllers and "*" in self.controllers
