"""From a topology to identities and one configuration per process (P): no file is touched here.

Fed by `prepare` with the topology and what was decided at the first start (slot, token); the paths inside
are the layout's. The supervisor writes the results and starts the processes.
"""

from __future__ import annotations

from components.cluster import config
from components.cluster.addresses import (
    API_PORT,
    CLIENT_PORT,
    KUBELET_PORT,
    PEER_PORT,
    PEER_PROXY_PORT,
    Addresses,
)
from components.cluster.config import (
    ApiConfig,
    ElectionConfig,
    KeyPair,
    MasterConfig,
    NodeTiming,
    StoreConfig,
    WorkerConfig,
)
from components.cluster.layout import Layout
from components.cluster.pki import Identity
from components.cluster.quantities import seconds, size_in_bytes
from components.cluster.topology import Topology, master_names, worker_names, worker_spec

ISSUER = "https://kubernetes.default.svc.cluster.local"
FRONT_PROXY = "front-proxy-client"
"""Who speaks for users at extension API servers."""
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


def index(name: str) -> int:
    """`m3` -> 3."""
    return int(name[1:])


def identities(topology: Topology, addresses: Addresses) -> list[Identity]:
    """Every leaf certificate the cluster needs."""
    found = [
        Identity("cluster/admin", "kuberaft-admin", "system:masters"),
        Identity("cluster/apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        Identity("front-proxy/client", FRONT_PROXY),
        Identity("cluster/kube-scheduler", "system:kube-scheduler"),
        Identity("cluster/kube-controller-manager", "system:kube-controller-manager"),
        Identity("cluster/kube-proxy", "system:kube-proxy", "system:node-proxier"),
    ]
    if topology.store.client_port:
        found.append(Identity("store/etcdctl", "root"))
    for name in master_names(topology):
        address = addresses.master(index(name))
        found.append(Identity(f"store/{name}", name, hosts=(name, address), server=True))
        serving = (*SERVICE_NAMES, name, "127.0.0.1", address, addresses.kubernetes_service)
        found.append(
            Identity(f"cluster/apiserver-{name}", "kube-apiserver", hosts=serving, server=True, client=False)
        )
    for name in worker_names(topology):
        hosts = (name, addresses.node(index(name)))
        found.append(
            Identity(f"cluster/kubelet-{name}", f"system:node:{name}", "system:nodes", hosts, server=True)
        )
    return found


def serving(topology: Topology, addresses: Addresses) -> dict[str, list[tuple[str, int]]]:
    """Identity -> where its certificate is shown to whoever connects."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name in master_names(topology):
        address = addresses.master(index(name))
        ports = [PEER_PORT, *([CLIENT_PORT] if topology.store.client_port else [])]
        found[f"store/{name}"] = [(address, port) for port in ports]
        found[f"cluster/apiserver-{name}"] = [(address, API_PORT)]
    for name in worker_names(topology):
        found[f"cluster/kubelet-{name}"] = [(addresses.node(index(name)), KUBELET_PORT)]
    return found


def kubeconfigs(topology: Topology) -> dict[str, str]:
    """Component kubeconfig name -> identity, for those that go through the failover endpoint."""
    return {"kube-proxy": "cluster/kube-proxy", **{w: f"cluster/kubelet-{w}" for w in worker_names(topology)}}


def local_kubeconfigs(topology: Topology) -> dict[str, tuple[str, str]]:
    """Name -> (identity, master) for the components that talk to their own master's API server."""
    components = ("kube-scheduler", "kube-controller-manager")
    return {f"{c}-{m}": (f"cluster/{c}", m) for m in master_names(topology) for c in components}


def master(
    topology: Topology, addresses: Addresses, layout: Layout, token: str, name: str, encryption: str = ""
) -> MasterConfig:
    """What the process of master `name` is told. `encryption`: the file that says what is encrypted, if any."""
    timing = topology.timing
    return MasterConfig(
        name=name,
        admin_socket=str(layout.admin_socket(name)),
        store=_store(topology, addresses, layout, token, name),
        api=_api(topology, addresses, layout, name, encryption),
        scheduler_kubeconfig=str(layout.component_kubeconfig(f"kube-scheduler-{name}")),
        controllers_kubeconfig=str(layout.component_kubeconfig(f"kube-controller-manager-{name}")),
        root_ca=str(layout.pki / "cluster" / "ca.crt"),
        signing_key=str(layout.pki / "cluster" / "ca.key"),
        election=ElectionConfig(
            lease_duration=seconds(timing.leader_lease_duration),
            renew_deadline=seconds(timing.leader_renew_deadline),
            retry_period=seconds(timing.leader_retry_period),
        ),
        node_timing=_node_timing(topology),
        supervisor_socket=str(layout.socket),
    )


def worker(topology: Topology, addresses: Addresses, layout: Layout, name: str) -> WorkerConfig:
    """What the process of worker `name` is told."""
    spec, number = worker_spec(topology, name), index(name)
    return WorkerConfig(
        name=name,
        node_ip=addresses.node(number),
        pod_cidr=addresses.pod_cidr(number),
        service_cidr=addresses.service_cidr,
        cluster_dns=addresses.cluster_dns,
        root_dir=str(layout.workers / name),
        kubeconfig=str(layout.component_kubeconfig(name)),
        proxy_kubeconfig=str(layout.component_kubeconfig("kube-proxy")),
        kubelet_port=KUBELET_PORT,
        tls=_pair(layout, f"cluster/kubelet-{name}"),
        client_ca=str(layout.pki / "cluster" / "ca.crt"),
        node_timing=_node_timing(topology),
        cpu=None if spec.cpu is None else str(spec.cpu),
        memory=None if spec.memory is None else str(spec.memory),
        pods=spec.pods,
        labels=spec.labels,
        taints=spec.taints,
        images=topology.images,
    )


def process_files(
    topology: Topology, addresses: Addresses, layout: Layout, token: str, encryption: str = ""
) -> dict[str, bytes]:
    """The configuration file of every process, by process name."""
    masters = {
        m: config.dump(master(topology, addresses, layout, token, m, encryption))
        for m in master_names(topology)
    }
    workers = {w: config.dump(worker(topology, addresses, layout, w)) for w in worker_names(topology)}
    return {**masters, **workers}


def _store(topology: Topology, addresses: Addresses, layout: Layout, token: str, name: str) -> StoreConfig:
    own = addresses.master(index(name))
    return StoreConfig(
        data_dir=str(layout.masters / name),
        initial_cluster=initial_cluster(topology, addresses),
        cluster_token=token,
        tls=_pair(layout, f"store/{name}"),
        ca=str(layout.pki / "store" / "ca.crt"),
        heartbeat_interval=seconds(topology.masters.heartbeat_interval),
        election_timeout=seconds(topology.masters.election_timeout),
        fsync=topology.store.fsync,
        quota_bytes=size_in_bytes(topology.store.quota),
        client_address=client_address(addresses, name) if topology.store.client_port else "",
        peer_address=f"{own}:{PEER_PORT}" if topology.masters.peer_proxies else "",
        dial_from=own,
    )


def initial_cluster(topology: Topology, addresses: Addresses) -> dict[str, str]:
    """Member name -> `host:port` where the others find its store peer."""
    port = PEER_PROXY_PORT if topology.masters.peer_proxies else PEER_PORT
    return {m: f"{addresses.master(index(m))}:{port}" for m in master_names(topology)}


def client_address(addresses: Addresses, name: str) -> str:
    return f"{addresses.master(index(name))}:{CLIENT_PORT}"


def _api(topology: Topology, addresses: Addresses, layout: Layout, name: str, encryption: str) -> ApiConfig:
    return ApiConfig(
        bind_address=addresses.master(index(name)),
        secure_port=API_PORT,
        tls=_pair(layout, f"cluster/apiserver-{name}"),
        client_ca=str(layout.pki / "cluster" / "ca.crt"),
        kubelet_client=_pair(layout, "cluster/apiserver-kubelet-client"),
        proxy_client=_pair(layout, "front-proxy/client"),
        front_proxy_ca=str(layout.pki / "front-proxy" / "ca.crt"),
        service_account_key=str(layout.pki / "cluster" / "sa.key"),
        service_account_public_key=str(layout.pki / "cluster" / "sa.pub"),
        service_account_issuer=ISSUER,
        service_cluster_ip_range=addresses.service_cidr,
        cluster_cidr=addresses.cluster_cidr,
        eviction_toleration=seconds(topology.timing.pod_eviction_toleration),
        shutdown_delay=seconds(topology.timing.api_shutdown_delay) if topology.masters.count > 1 else 0.0,
        encryption_config=encryption,
        enable_fault_injection=topology.masters.fault_injection,
    )


def _pair(layout: Layout, identity: str) -> KeyPair:
    return KeyPair(cert=str(layout.pki / f"{identity}.crt"), key=str(layout.pki / f"{identity}.key"))


def _node_timing(topology: Topology) -> NodeTiming:
    timing = topology.timing
    return NodeTiming(
        monitor_period=seconds(timing.node_monitor_period),
        monitor_grace_period=seconds(timing.node_monitor_grace_period),
        status_update_frequency=seconds(timing.node_status_update_frequency),
        lease_duration=seconds(timing.node_lease_duration),
    )
