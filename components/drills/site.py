"""The cluster that a drill works on: one of its own, one that runs in a directory, or one behind addresses.

Made by `sites`; used by `runner`, the faults and the workload. `offers` says what can be done to it, and a drill
that needs more is refused (`refusal`) before anything is touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from components.client.errors import ApiError
from components.client.kubeconfig import ClientConfig, KubeconfigError, load
from components.client.transport import ApiClient
from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.status import ClusterStatus
from components.drills.disks import Disk
from components.drills.links import Links, Network
from components.drills.recording.recorder import Endpoint
from components.drills.spec import Drill, Need, needs

Kind = Literal["own", "directory", "remote"]
ASK_SECONDS = 90.0  # a master without data waits for the others before it starts
AGENT = "kuberaft-drill"
_LACKS: dict[Need, tuple[str, str]] = {
    "processes": ("access to the cluster's processes", "name its directory: --dir DIR"),
    "own-cluster": ("a cluster of its own", "leave out --dir, --kubeconfig and --etcd"),
    "peer-links": (
        "links between the masters that can be cut",
        "start the cluster with masters.peerProxies: true, or leave out --dir",
    ),
    "masters": ("three masters", "use a cluster of three masters"),
    "nodes": ("two nodes that run the drill's pods", "use a cluster with two workers"),
    "own-disks": ("file systems of the masters' own", "run it as root, where loop devices can be mounted"),
    "own-clock": ("a clock of its own", "install libfaketime (Debian: faketime)"),
    "endpoints": ("the store's client ports", "name them: --etcd, or start with store.clientPort: true"),
}


@dataclass
class Site:
    """`masters`: name -> base URL of its API server; `store`: one endpoint a member, may be empty."""

    kind: Kind
    offers: frozenset[Need]
    kubeconfig: Path | None = None
    layout: Layout | None = None
    masters: dict[str, str] = field(default_factory=dict)
    workers: list[str] = field(default_factory=list)
    store: list[Endpoint] = field(default_factory=list)
    links: Links | None = None
    clock: dict[str, str] = field(default_factory=dict)
    """The environment that tells its processes the time (`drills.clock`), for drills that set it."""
    disks: dict[str, Disk] = field(default_factory=dict)
    """File systems of the masters' own, for drills that cut the power."""

    @property
    def network(self) -> Network:
        """How links are cut; `direct` where they cannot be."""
        return "direct" if self.links is None else self.links.network

    @property
    def directory(self) -> Layout:
        """Raises ClusterError where there is none; a drill that needs it is refused before."""
        if self.layout is None:
            raise ClusterError("this cluster's directory is not known", "name it: --dir DIR")
        return self.layout

    async def supervisor(self, op: str, **arguments: Any) -> Any:
        """One request to the supervisor. Raises ClusterError, TimeoutError."""
        return await ipc.call(self.directory.socket, op, timeout=ASK_SECONDS, **arguments)

    async def status(self) -> ClusterStatus:
        """The cluster as its supervisor sees it. Raises ClusterError, TimeoutError."""
        answer = await ipc.call(self.directory.socket, "status", timeout=2.0)
        return msgspec.convert(answer, ClusterStatus)

    def config(self, master: str = "") -> ClientConfig:
        """Of the failover endpoint, or of one master's own API server."""
        if self.kubeconfig is None:
            raise ClusterError("no kubeconfig is known", "name it: --kubeconfig FILE")
        try:
            config = load(self.kubeconfig)
        except (KubeconfigError, OSError) as error:
            raise ClusterError(str(error), "name a kubeconfig that kubectl can use") from error
        return dataclasses.replace(config, server=self.masters[master]) if master else config

    def client(self, master: str = "", timeout: float = 10.0) -> ApiClient:
        """A client of its own; the caller closes it."""
        return ApiClient(self.config(master), user_agent=AGENT, timeout=timeout)

    def move(self, layout: Layout) -> None:
        """The cluster is there now: another supervisor, another kubeconfig, the same masters, nodes and store."""
        self.layout, self.kubeconfig = layout, layout.kubeconfig

    async def close(self) -> None:
        for endpoint in self.store:
            await endpoint.close()


def lacking(drill: Drill, offers: frozenset[Need]) -> Sequence[Need]:
    return [need for need in needs(drill) if need not in offers]


def require(drill: Drill, site: Site) -> None:
    """Raises ClusterError when the drill needs what the cluster does not offer; the first in the order of `_LACKS`."""
    missing = lacking(drill, site.offers)
    for what, remedy in (said for need, said in _LACKS.items() if need in missing):
        raise ClusterError(f"this drill needs {what}", remedy)


async def reachable(site: Site) -> None:
    """Raises ClusterError when the API server does not answer."""
    if site.kubeconfig is None:
        return
    async with site.client() as client:
        try:
            await client.raw("GET", "/version")
        except ApiError as error:
            raise ClusterError(
                f"the API server does not answer: {error}", "is the cluster running?"
            ) from error
