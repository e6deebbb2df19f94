"""The links between masters of a cluster whose topology says `peerProxies`: cut and mended by the supervisor.

Fed by the control socket (`kuberaft drill`), built on `peernet`. Every cut has an end of its own, so that a drill
that is killed leaves no cluster in two halves. Without proxies it does nothing but refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from components.cluster.addresses import PEER_PORT, PEER_PROXY_PORT, Addresses
from components.cluster.errors import ClusterError
from components.cluster.peernet import Link, Network
from components.cluster.plan import index


class Peers:
    """`masters`: their names. `proxied`: whether the peers find one another through proxies."""

    def __init__(self, addresses: Addresses, masters: Sequence[str], *, proxied: bool) -> None:
        self._hosts = {addresses.master(index(name)): name for name in masters}
        self._proxied = proxied
        self._network = Network(lambda peer: self._hosts.get(peer[0]))
        self._end: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Take the ports. Raises ClusterError when one is taken."""
        for host, name in self._hosts.items() if self._proxied else ():
            try:
                await self._network.proxy(name, (host, PEER_PORT), (host, PEER_PROXY_PORT))
            except OSError as error:
                raise ClusterError(
                    f"cannot listen on {host}:{PEER_PROXY_PORT}: {error.strerror}",
                    "free the port, or leave out masters.peerProxies",
                ) from error

    def cut(self, links: Iterable[Link], seconds: float, *, reset: bool = False) -> None:
        """Block these links, beside those that are blocked, for so many seconds at most. Raises ClusterError."""
        if not self._proxied:
            raise ClusterError(
                "the masters of this cluster reach one another directly: no link can be cut",
                "start it with masters.peerProxies: true, or let the drill start a cluster of its own",
            )
        found = list(links)
        for name in {name for link in found for name in link} - set(self._hosts.values()):
            raise ClusterError(f"there is no master {name!r}", f"they are {', '.join(self._hosts.values())}")
        self._network.cut(*found, reset=reset)
        self._forget()
        self._end = asyncio.get_running_loop().call_later(seconds, self.heal)

    def heal(self) -> None:
        """Every link works again."""
        self._forget()
        self._network.heal()

    async def close(self) -> None:
        self._forget()
        await self._network.close()

    def _forget(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
