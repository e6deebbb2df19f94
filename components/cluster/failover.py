"""The address that the kubeconfig names: a TCP pass-through to whichever master is ready.

TLS is end to end between client and master; this only moves bytes. The supervisor says which masters are
ready (`set_ready`); a new connection goes to the ready master with the fewest, waits a while when none is,
and tries the next when one refuses. A master that is gone or silent has its connections cut at once, so
that clients reconnect instead of waiting for their own timeouts. One that answers and is not ready gets them cut
after `GRACE`: mostly it waits for a new leader, and goes on. One that drains keeps them and ends them itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Mapping
from typing import cast

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 2.0
READY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0
GRACE = 0.5  # seconds; a leader's death leaves the others without one for a quarter of it
DRAIN_TIMEOUT = 10.0  # for a peer to read what is left when the other side has gone
_HIGH_WATER = 256 * 1024


class _Side(asyncio.Protocol):
    """One of the two sockets of a connection; `peer` is the other. Reading starts when both are there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Side | None = None
        self.saw_eof = False
        self._early: list[bytes] = []  # uvloop delivers what had arrived before `pause_reading`
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        transport.pause_reading()
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def join(self, peer: _Side) -> None:
        """Start to pass what arrives here on to `peer`."""
        self.peer = peer
        for data in self._early:
            self.data_received(data)
        self._early.clear()
        if self.saw_eof:
            self._pass_eof_on(peer)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
        elif self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass a half-close on; the connection ends when both directions have."""
        self.saw_eof = True
        if self.peer is None:
            return True
        if self.peer.saw_eof:
            return False  # close this side; connection_lost closes the other once its data is out
        self._pass_eof_on(self.peer)
        return True

    def _pass_eof_on(self, peer: _Side) -> None:
        if peer.transport is not None and peer.transport.can_write_eof() and not peer.transport.is_closing():
            peer.transport.write_eof()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def abort(self) -> None:
        """Cut at once, dropping what is buffered."""
        if self.transport is not None:
            self.transport.abort()


class Failover:
    """Listens on a socket made by the caller (so that a taken port is known before anything starts)."""

    def __init__(
        self, backends: Mapping[str, tuple[str, int]], *, ready_timeout: float = READY_TIMEOUT
    ) -> None:
        self._backends = dict(backends)
        self._ready_timeout = ready_timeout
        self._ready: set[str] = set()
        self._changed = asyncio.Event()
        self._open: dict[str, set[_Side]] = {name: set() for name in self._backends}
        self._cuts: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on `sock`, a bound TCP socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, sock=sock, backlog=512)

    @property
    def ready(self) -> frozenset[str]:
        """The masters new connections go to."""
        return frozenset(self._ready)

    @property
    def connections(self) -> dict[str, int]:
        """Open connections per master."""
        return {name: len(sides) // 2 for name, sides in self._open.items()}

    def set_ready(self, name: str, ready: bool, *, answers: bool = True, draining: bool = False) -> None:
        """Say whether a master serves. When it stops to, its connections are cut: at once if it `answers` no more,
        after a while if it does, and not at all if it is `draining`.
        """
        if ready:
            self._keep(name)
            self._ready.add(name)
            self._changed.set()
            return
        was_ready = name in self._ready
        self._ready.discard(name)
        if not answers and (was_ready or name in self._cuts):
            self.cut(name)
        elif was_ready and not draining:
            self._cuts[name] = asyncio.get_running_loop().call_later(GRACE, self.cut, name)

    def _keep(self, name: str) -> None:
        timer = self._cuts.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cut(self, name: str) -> None:
        """Close every connection to a master."""
        self._keep(name)
        for side in list(self._open[name]):
            side.abort()

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for name in self._open:
            self.cut(name)
        if self._server is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._server.wait_closed()

    def _accepted(self) -> asyncio.Protocol:
        return _Accepted(self)

    def serve(self, client: _Side) -> None:
        """Find a master for an accepted connection, in a task owned by this object."""
        task = asyncio.get_running_loop().create_task(self._serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: _Side) -> None:
        try:
            found = await self._connect(client)
        except asyncio.CancelledError:
            client.abort()
            raise
        if found is None:
            client.abort()
            return
        name, upstream = found
        self._open[name].update((client, upstream))
        try:
            upstream.join(client)
            client.join(upstream)
            if client.saw_eof and upstream.saw_eof:
                return
            await asyncio.wait((client.lost, upstream.lost), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((client.lost, upstream.lost), timeout=DRAIN_TIMEOUT)
        finally:
            self._open[name].difference_update((client, upstream))
            client.abort()
            upstream.abort()

    async def _connect(self, client: _Side) -> tuple[str, _Side] | None:
        """A connection to a ready master; None when none answers in time or the client has gone."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_timeout
        refused: dict[str, float] = {}
        while not client.lost.done() and loop.time() < deadline:
            name = self._choose(refused)
            if name is None:
                await self._wait_for_change(min(deadline - loop.time(), 0.2))
                refused.clear()
                continue
            host, port = self._backends[name]
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    _, upstream = await loop.create_connection(_Side, host, port)
            except (OSError, TimeoutError) as error:
                logger.info("master %s does not answer on %s:%d: %s", name, host, port, error)
                refused[name] = time.monotonic()
                continue
            return name, upstream
        return None

    def _choose(self, refused: Mapping[str, float]) -> str | None:
        candidates = self._ready - refused.keys()
        return min(candidates, key=lambda name: (len(self._open[name]), name), default=None)

    async def _wait_for_change(self, seconds: float) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._changed.wait()


class _Accepted(_Side):
    """The client's side of a connection: asks the endpoint for a master as soon as it is there."""

    def __init__(self, endpoint: Failover) -> None:
        super().__init__()
        self._endpoint = endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._endpoint.serve(self)
