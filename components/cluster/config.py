"""The configuration of one process: written by the supervisor, read by `master` and `worker`.

Every value is decided (addresses, paths, seconds, bytes): a process never looks at the topology. Files are
YAML, so that a person can read what a process was told.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import yaml
from msgspec import Struct

from components.cluster.errors import ClusterError
from components.cluster.topology import Image, Taint


class KeyPair(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """PEM files of one identity."""

    cert: str
    key: str


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The store member of a master. `initial_cluster` maps member names to `host:port`."""

    data_dir: str
    initial_cluster: dict[str, str]
    cluster_token: str
    tls: KeyPair
    ca: str
    heartbeat_interval: float
    election_timeout: float
    fsync: bool
    quota_bytes: int
    client_address: str = ""
    """`host:port` for etcd's clients; empty: nobody but this process reaches the store."""
    peer_address: str = ""
    """`host:port` where it listens for its peers, if that is not where they find it (a proxy stands there)."""
    dial_from: str = ""
    """The address that its connections to peers leave from, so that they can be told apart."""


class ApiConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The API server of a master. Addresses and ranges as kube-apiserver's flags of these names."""

    bind_address: str
    secure_port: int
    tls: KeyPair
    client_ca: str
    kubelet_client: KeyPair
    service_account_key: str
    service_account_public_key: str
    service_account_issuer: str
    service_cluster_ip_range: str
    cluster_cidr: str
    eviction_toleration: float
    proxy_client: KeyPair | None = None
    """Shown to extension API servers (APIServices with a Service)."""
    front_proxy_ca: str = ""
    """The authority of front proxies: by it extension servers know `proxy_client`."""
    shutdown_delay: float = 0.0
    """Seconds between SIGTERM and the end of the listener, for clients to move to another master."""
    encryption_config: str = ""
    """EncryptionConfiguration, read again when it changes; empty: nothing is encrypted in the store."""
    enable_fault_injection: bool = False


class ElectionConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Seconds, as client-go's leader election names them."""

    lease_duration: float
    renew_deadline: float
    retry_period: float


class NodeTiming(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Seconds; the names are those of the original's flags and kubelet fields."""

    monitor_period: float
    monitor_grace_period: float
    status_update_frequency: float
    lease_duration: float


class MasterConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One master process."""

    name: str
    admin_socket: str
    store: StoreConfig
    api: ApiConfig
    scheduler_kubeconfig: str
    controllers_kubeconfig: str
    root_ca: str
    signing_key: str
    election: ElectionConfig
    node_timing: NodeTiming
    supervisor_socket: str = ""
    """Where drills are asked for; empty: nobody runs any."""


class WorkerConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One worker process: kubelet and proxy. Capacity fields left None are what the machine has."""

    name: str
    node_ip: str
    pod_cidr: str
    service_cidr: str
    cluster_dns: str
    root_dir: str
    kubeconfig: str
    proxy_kubeconfig: str
    kubelet_port: int
    tls: KeyPair
    client_ca: str
    node_timing: NodeTiming
    cpu: str | None = None
    memory: str | None = None
    pods: int | None = None
    labels: dict[str, str] = {}
    taints: list[Taint] = []
    images: list[Image] = []


T = TypeVar("T")


def dump(config: MasterConfig | WorkerConfig) -> bytes:
    """The file `load` reads back."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False).encode()


def load(path: Path, kind: type[T]) -> T:
    """Read one process's configuration. Raises ClusterError naming the file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return msgspec.convert(yaml.load(path.read_bytes(), Loader=loader), kind)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ClusterError(f"{path}: {error}", "kuberaft up writes this file anew") from error
