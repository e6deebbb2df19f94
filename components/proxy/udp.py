"""Forwards UDP datagrams of one frontend; one upstream socket per client, dropped when idle.

`proxier` opens and closes a `UdpForwarder`. Flows to a removed endpoint are dropped at once, as kube-proxy
clears their conntrack entries: the next datagram picks a living one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from components.proxy.balancer import Balancer
from components.proxy.rules import Backend, Target

log = logging.getLogger(__name__)

Address = tuple[str, int]

IDLE_SECONDS = 60.0
MAX_FLOWS = 4096
MAX_WAITING = 16


class _Flow(asyncio.DatagramProtocol):
    """The upstream half of one client's conversation."""

    def __init__(self, owner: UdpForwarder, client: Address, target: Target) -> None:
        self.owner = owner
        self.client = client
        self.target = target
        self.transport: asyncio.DatagramTransport | None = None
        self.waiting: list[bytes] = []
        self.last_used = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        for data in self.waiting:
            self.transport.sendto(data)
        self.waiting.clear()

    def send(self, data: bytes, now: float) -> None:
        self.last_used = now
        if self.transport:
            self.transport.sendto(data)
        elif len(self.waiting) < MAX_WAITING:
            self.waiting.append(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.owner.reply(self, data)

    def error_received(self, error: Exception) -> None:
        self.owner.drop(self)  # the endpoint refused: let the next datagram choose again


class UdpForwarder(asyncio.DatagramProtocol):
    """Serves one bound socket until `close`."""

    def __init__(self, backend: Backend) -> None:
        self._balancer = Balancer(backend)
        self._loop = asyncio.get_running_loop()
        self._flows: dict[Address, _Flow] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._sweeper = self._loop.create_task(self._sweep(), name="proxy-udp-idle")

    @classmethod
    async def open(cls, sock: socket.socket, backend: Backend) -> UdpForwarder:
        """Takes over `sock`."""
        loop = asyncio.get_running_loop()
        _, forwarder = await loop.create_datagram_endpoint(lambda: cls(backend), sock=sock)
        return forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        flow = self._flows.get(addr) or self._new_flow(addr)
        flow.send(data, self._loop.time())

    def retarget(self, backend: Backend) -> None:
        gone = self._balancer.retarget(backend)
        for flow in [f for f in self._flows.values() if f.target in gone]:
            self.drop(flow)

    def reply(self, flow: _Flow, data: bytes) -> None:
        flow.last_used = self._loop.time()
        if self._transport:
            self._transport.sendto(data, flow.client)

    def drop(self, flow: _Flow) -> None:
        if self._flows.get(flow.client) is flow:
            del self._flows[flow.client]
        if flow.transport:
            flow.transport.abort()

    async def close(self) -> None:
        tasks = [self._sweeper, *self._opening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for flow in list(self._flows.values()):
            self.drop(flow)
        if self._transport:
            self._transport.abort()

    def _new_flow(self, client: Address) -> _Flow:
        if len(self._flows) >= MAX_FLOWS:
            self.drop(min(self._flows.values(), key=lambda flow: flow.last_used))
        now = self._loop.time()
        target = self._balancer.order(client[0], now)[0]
        self._balancer.connected(client[0], target, now)
        flow = self._flows[client] = _Flow(self, client, target)
        task = self._loop.create_task(self._open(flow), name="proxy-udp-flow")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return flow

    async def _open(self, flow: _Flow) -> None:
        try:
            await self._loop.create_datagram_endpoint(
                lambda: flow, remote_addr=(flow.target.ip, flow.target.port)
            )
        except OSError as error:
            log.warning("cannot reach endpoint %s:%d: %s", flow.target.ip, flow.target.port, error)
            self.drop(flow)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS / 2)
            limit = self._loop.time() - IDLE_SECONDS
            for flow in [f for f in self._flows.values() if f.last_used < limit]:
                self.drop(flow)
