"""gRPC and HTTP/1.1 on one port: a new connection is looked at and given to the protocol it speaks.

With TLS the client has said so by ALPN: one that offers `http/1.1` is a HTTP client (curl and browsers offer both), one
that only offers `h2` a gRPC client. Without, the first bytes tell (`sniff`). The transport then gets the other
protocol and this one is gone: no byte is copied twice. etcd does the same with cmux.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from kvstore.server.sniff import Protocol, sniff

DECIDE_SECONDS = 10.0
"""A connection that does not say what it is in this time is closed."""
ALPN = ("http/1.1", "h2")
"""In the order of preference."""

Factory = Callable[[], asyncio.Protocol]


class Front:
    """What the two kinds of connections become; `undecided` are those that have not said enough yet."""

    def __init__(self, grpc: Factory, http: Factory) -> None:
        self.factories = {Protocol.GRPC: grpc, Protocol.HTTP: http}
        self.undecided: set[Undecided] = set()

    def connection(self) -> asyncio.Protocol:
        return Undecided(self)

    def stop(self) -> None:
        for connection in list(self.undecided):
            connection.abort()


class Undecided(asyncio.Protocol):
    """A connection until its protocol is known."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._front.undecided.add(self)
        tls = transport.get_extra_info("ssl_object")
        chosen = tls.selected_alpn_protocol() if tls is not None else None
        if chosen is not None:
            self._hand_over(Protocol.GRPC if chosen == "h2" else Protocol.HTTP)
        else:
            self._timer = asyncio.get_running_loop().call_later(DECIDE_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        self._head += data
        protocol = sniff(self._head)
        if protocol is not Protocol.MORE:
            self._hand_over(protocol)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _hand_over(self, protocol: Protocol) -> None:
        transport, head = self._transport, self._head
        assert transport is not None
        self._forget()
        successor = self._front.factories[protocol]()
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if head:
            successor.data_received(head)

    def _forget(self) -> None:
        self._front.undecided.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
