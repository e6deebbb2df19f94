"""How links between masters are cut: by the supervisor's proxies, or by the kernel in a network of the drill's own.

As root a drill's whole cluster, and the drill, run in a network namespace (`enter_namespace`, before anything else).
There a pair of masters is parted by a routing rule: packets from the one's address to the other's are dropped, of
connections that exist and of new ones. Masters dial their peers from their own addresses (`dialFrom` in their
configuration), so the two ends of every connection between them are known.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import shutil
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from components.cluster.errors import ClusterError
from components.cluster.peernet import Link

Network = Literal["direct", "peer proxies", "network namespace"]
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_PRIVATE_ALL = 0x4000 | 0x40000
"""MS_REC and MS_PRIVATE"""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PREFERENCE = "10"  # of the rules that drop; the kernel's own first rule moves behind them
_LOCAL = "100"
SECONDS = 10.0


class Links(Protocol):
    """`cut` adds to what is cut; after `seconds` it is mended by itself where somebody else sees to that."""

    network: Network

    async def cut(self, links: Iterable[Link], seconds: float) -> None: ...
    async def heal(self) -> None: ...


class ProxyLinks:
    """`ask` is a request to the supervisor (`Site.supervisor`)."""

    network: Network = "peer proxies"

    def __init__(self, ask: Callable[..., Awaitable[Any]]) -> None:
        self._ask = ask

    async def cut(self, links: Iterable[Link], seconds: float) -> None:
        await self._ask("cut", links=list(links), seconds=seconds)

    async def heal(self) -> None:
        await self._ask("heal")


class NamespaceLinks:
    """`hosts`: the address of each master. Only for a process that has entered a namespace of its own."""

    network: Network = "network namespace"

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._cut: set[Link] = set()
        self._prepared = False

    async def cut(self, links: Iterable[Link], seconds: float) -> None:
        if not self._prepared:
            await _ip("rule", "add", "pref", _LOCAL, "lookup", "local")
            await _ip("rule", "del", "pref", "0", "lookup", "local")
            self._prepared = True
        for link in set(links) - self._cut:
            await _ip("rule", "add", "pref", _PREFERENCE, *self._pair(link), "blackhole")
            self._cut.add(link)

    async def heal(self) -> None:
        for link in list(self._cut):
            await _ip("rule", "del", "pref", _PREFERENCE, *self._pair(link), "blackhole")
            self._cut.discard(link)

    def _pair(self, link: Link) -> tuple[str, ...]:
        source, target = link
        return ("from", self._hosts[source], "to", self._hosts[target])


async def _ip(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "ip", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        _, said = await process.communicate()
    if process.returncode:
        raise ClusterError(
            f"ip {' '.join(arguments)}: {said.decode(errors='replace').strip()}",
            "run the drill without root, or with --network proxies",
        )


def possible() -> bool:
    """Whether this process may have a network of its own, and rules in it."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def enter_namespace() -> None:
    """This process and what it starts from now on: in a network with a loopback device alone. Raises ClusterError."""
    _unshare(CLONE_NEWNET, "use --network proxies")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def enter_mounts() -> None:
    """This process and what it starts see its mounts, and nobody else: a container that is started meanwhile cannot
    hold a disk that loses power. Raises ClusterError."""
    _unshare(CLONE_NEWNS, "run it without root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_PRIVATE_ALL), None) != 0:
        raise ClusterError(
            f"mounts cannot be kept apart: {os.strerror(ctypes.get_errno())}", "run it without root"
        )


def _unshare(what: int, remedy: str) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(what) != 0:
        raise ClusterError(f"no namespace can be made: {os.strerror(ctypes.get_errno())}", remedy)
