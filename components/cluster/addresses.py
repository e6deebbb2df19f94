"""The addresses of a local cluster (P). Everything follows from its slot; see "Addresses" in docs/plan.md.

Linux serves all of 127.0.0.0/8 on loopback, so each slot is a private pair of /16 networks that needs no
privilege: pods, nodes and masters in the even one, services in the odd one.
"""

from __future__ import annotations

from dataclasses import dataclass

API_PORT = 6443
PEER_PORT = 2380
PEER_PROXY_PORT = 2381
CLIENT_PORT = 2379
KUBELET_PORT = 10250
GUARD_PORT = 6440


@dataclass(frozen=True)
class Addresses:
    """Slot `slot` (0 ... 31). Masters and nodes are counted from 1."""

    slot: int

    @property
    def _pods(self) -> str:
        return f"127.{64 + 2 * self.slot}"

    @property
    def _services(self) -> str:
        return f"127.{65 + 2 * self.slot}"

    @property
    def guard(self) -> tuple[str, int]:
        """Where the supervisor listens for as long as it owns the slot."""
        return f"{self._pods}.255.254", GUARD_PORT

    @property
    def cluster_cidr(self) -> str:
        """All pods."""
        return f"{self._pods}.0.0/16"

    @property
    def service_cidr(self) -> str:
        """All services."""
        return f"{self._services}.0.0/16"

    @property
    def kubernetes_service(self) -> str:
        """The cluster IP of the `kubernetes` service."""
        return f"{self._services}.0.1"

    @property
    def cluster_dns(self) -> str:
        """The cluster IP of the DNS service."""
        return f"{self._services}.0.10"

    def pod_cidr(self, node: int) -> str:
        """The pods of one node."""
        return f"{self._pods}.{node}.0/24"

    def node(self, node: int) -> str:
        """The kubelet and the node ports of one node."""
        return f"{self._pods}.250.{node}"

    def master(self, master: int) -> str:
        """The API server and store peer of one master."""
        return f"{self._pods}.254.{master}"
