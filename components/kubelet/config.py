"""What a kubelet is told, from its flags (`__main__`) or from a worker's configuration
(`components.worker`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from components.kubelet.images.catalogue import Image

VERSION = "v1.36.2"


class KubeletConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds. Capacity fields left None are what the machine has."""

    node_name: str
    node_ip: str
    root_dir: Path
    kubeconfig: Path
    port: int = 10250
    pod_cidr: str = "127.64.1.0/24"
    cluster_domain: str = "cluster.local"
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    rotate_certificates: bool = False
    cert_dir: Path | None = None
    """Where renewed client certificates are kept; below `root_dir` when None."""
    labels: Mapping[str, str] = {}
    taints: tuple[dict[str, Any], ...] = ()
    cpu: str | None = None
    memory: str | None = None
    max_pods: int = 110
    system_reserved: Mapping[str, str] = {}
    images: Mapping[str, Image] = {}
    node_status_update_frequency: float = 10.0
    node_lease_duration: float = 40.0
    housekeeping_interval: float = 30.0

    @property
    def log_dir(self) -> Path:
        return self.root_dir / "logs"
