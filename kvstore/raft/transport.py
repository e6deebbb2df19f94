"""Connections between members: asyncio, mutual TLS, length-prefixed cbor2 frames. Nothing is unpickled.

For each pair of members the one with the smaller id dials (see `_dial`). The first frame each way is the
greeting: format, cluster id, sender, receiver, sender's term. A peer that greets with another cluster id, or that
was removed, is refused. A new connection of a peer replaces its old one; what still arrives on the old one is
ignored, so messages never overtake each other across a reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Protocol, cast

import cbor2

from kvstore.raft.certificates import Certificates
from kvstore.raft.config import Peer, RaftConfig
from kvstore.raft.messages import Message

log = logging.getLogger(__name__)

LENGTH = struct.Struct(">I")
FORMAT = "kuberaft-peer/1"
GREETING_SECONDS = 5.0
BACKOFF_SECONDS = (0.02, 0.05, 0.1, 0.2)
DIAL_PATIENCE = 1.0
BUFFER_LIMIT = 32 << 20
PING = cbor2.dumps(None)
JOIN = "join"
REMOVED_CONTENT = "removed"
REMOVED = cbor2.dumps(REMOVED_CONTENT)


class Handler(Protocol):
    def peer_connected(self, peer: int) -> None: ...
    def peer_disconnected(self, peer: int) -> None: ...
    def peer_message(self, peer: int, message: Message) -> None: ...
    def about_members(self) -> object:
        """What a joining member is told (`kvstore.raft.join.Answer`)."""

    def removed(self, by: int) -> None:
        """A member says that this one is none any more."""


class Connection(asyncio.Protocol):
    """One TCP connection. `peer` is known once its greeting was accepted."""

    def __init__(self, owner: PeerTransport, dialled: int | None = None) -> None:
        self._owner, self.dialled = owner, dialled
        self.peer: int | None = None
        self.transport: asyncio.Transport | None = None
        self.heard = 0.0
        self._buffer = bytearray()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self.heard = asyncio.get_running_loop().time()
        self._owner.opened(self)
        self.write(cbor2.dumps(self._owner.greeting(self.dialled)))

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(buffer, at)
            if length > self._owner.max_frame:
                self._refuse(f"a frame of {length} bytes")
                return
            if len(buffer) - at - LENGTH.size < length:
                break
            at += LENGTH.size
            self._frame(bytes(memoryview(buffer)[at : at + length]))
            at += length
        del buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        self._owner.lost(self)

    def write(self, payload: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(LENGTH.pack(len(payload)) + payload)

    def congested(self) -> bool:
        return self.transport is not None and self.transport.get_write_buffer_size() > BUFFER_LIMIT

    def close(self) -> None:
        """After what was written is out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _frame(self, payload: bytes) -> None:
        try:
            content = cbor2.loads(payload)
        except Exception as error:  # cbor2 raises UnicodeError, OverflowError and others, by the content
            self._refuse(f"a frame that is not cbor2 ({error})")
            return
        if content == REMOVED_CONTENT:
            self._owner.told_removed(self)
            return
        if self.peer is not None:
            if content is not None:
                self._owner.received(self, content)
            return
        what = self._owner.check_greeting(self, content)
        if what is not None:
            self._refuse(what)

    def _refuse(self, what: str) -> None:
        address = self.transport.get_extra_info("peername") if self.transport is not None else None
        self._owner.refused(f"{address} sent {what}")
        self.close()


class PeerTransport:
    def __init__(self, config: RaftConfig, handler: Handler, term: Callable[[], int]) -> None:
        self._config, self._handler, self._term = config, handler, term
        self.max_frame = 2 * config.max_entry_bytes + (1 << 16)
        self._server: asyncio.Server | None = None
        self._all: set[Connection] = set()
        self._peers: dict[int, Connection] = {}
        self._known = {id_: peer for id_, peer in config.peers.items() if id_ != config.member_id}
        self._former = set(config.removed)
        self._dialers: dict[int, asyncio.Task[None]] = {}
        self._refusals: set[str] = set()
        self._certificates: Certificates | None = None
        self._stopping = False

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen and dial. Raises OSError if the address cannot be bound."""
        if not self._known and not self._config.listen_alone:
            return
        tls = self._config.tls
        host, port = self._config.listen
        self._certificates = Certificates(tls) if tls else None
        context = self._certificates.server if self._certificates else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, ssl=context)
        self._dial_all()

    def set_peers(self, peers: Mapping[int, Peer], former: Collection[int]) -> None:
        """The other members from now on, and where they are. Those that are none any more are told so."""
        before, self._known = self._known, dict(peers)
        gone = set(former) - self._former
        self._former |= gone
        for peer in gone:
            connection = self._peers.get(peer)
            if connection is not None:
                connection.write(REMOVED)
                connection.close()
        for peer, address in before.items():
            if self._known.get(peer) != address and (task := self._dialers.pop(peer, None)) is not None:
                task.cancel()
        self._dial_all()

    def _dial_all(self) -> None:
        loop = asyncio.get_running_loop()
        for peer in self._known:
            if peer not in self._dialers:
                self._dialers[peer] = loop.create_task(self._dial(peer), name=f"dial {peer:x}")

    async def stop(self) -> None:
        self._stopping = True
        dialers = list(self._dialers.values())
        for task in dialers:
            task.cancel()
        await asyncio.gather(*dialers, return_exceptions=True)
        connections = list(self._all)
        self.abort()
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=1.0)

    def abort(self) -> None:
        """Close everything at once."""
        self._stopping = True
        for task in self._dialers.values():
            task.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._all):
            connection.abort()

    def send(self, messages: Iterable[tuple[int, Message]]) -> None:
        """To connected peers; to others, and to one that does not read fast enough, the message is lost."""
        for peer, message in messages:
            connection = self._peers.get(peer)
            if connection is not None and not connection.congested():
                connection.write(cbor2.dumps(message))

    def check(self, silence: float) -> None:
        """Keep idle connections alive; drop those that have been silent for too long. Called now and then."""
        now = asyncio.get_running_loop().time()
        if self._certificates is not None:
            self._certificates.refresh()
        for connection in list(self._all):
            limit = silence if connection.peer is not None else GREETING_SECONDS
            if now - connection.heard > limit:
                connection.abort()
            elif connection.peer is not None:
                connection.write(PING)

    # Called by connections.

    def opened(self, connection: Connection) -> None:
        self._all.add(connection)
        if self._stopping:
            connection.abort()

    def greeting(self, to: int | None) -> list[object]:
        return [FORMAT, self._config.cluster_id, self._config.member_id, to or 0, self._term()]

    def check_greeting(self, connection: Connection, content: object) -> str | None:
        """Accept the connection, or say what is wrong with the greeting."""
        if content == [FORMAT, JOIN]:
            connection.write(cbor2.dumps(self._handler.about_members()))
            connection.close()
            return None
        if not (isinstance(content, list) and len(content) == 5 and content[0] == FORMAT):
            return "no greeting of a member"
        _, cluster, sender, receiver, _ = content
        if cluster != self._config.cluster_id:
            own = self._config.cluster_id
            return f"cluster id {cluster!r:.40} instead of {own}: a member of another cluster"
        if sender in self._former:
            connection.write(REMOVED)
            return f"member id {sender:x}, which was removed"
        if type(sender) is not int or connection.dialled not in (None, sender):
            return f"member id {sender!r:.40}, which is not expected there"
        if receiver not in (0, self._config.member_id):
            return "a greeting for another member"
        self._accept(connection, sender)  # known or not: it may have joined while this one was away
        return None

    def _accept(self, connection: Connection, peer: int) -> None:
        old = self._peers.pop(peer, None)
        if old is not None:
            old.abort()
            self._handler.peer_disconnected(peer)
        connection.peer = peer
        self._peers[peer] = connection
        self._refusals.clear()
        self._handler.peer_connected(peer)

    def received(self, connection: Connection, content: Message) -> None:
        if connection.peer is not None and self._peers.get(connection.peer) is connection:
            self._handler.peer_message(connection.peer, content)

    def refused(self, what: str) -> None:
        """One log line for each reason, not one for each attempt."""
        reason = what.partition(" sent ")[2]
        if reason not in self._refusals:
            self._refusals.add(reason)
            log.warning("refused a connection: %s", what)

    def told_removed(self, connection: Connection) -> None:
        """Only by a member whose certificate was accepted, if there are any."""
        self._handler.removed(connection.peer or connection.dialled or 0)

    def lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection.peer is not None and self._peers.get(connection.peer) is connection:
            del self._peers[connection.peer]
            self._handler.peer_disconnected(connection.peer)

    async def _dial(self, peer: int) -> None:
        """The member with the smaller id dials. The other one does so as well if that takes long: the first may
        not know of it, or not any more."""
        loop = asyncio.get_running_loop()
        _, host, port = self._known[peer]
        attempt = 0
        while True:
            if peer < self._config.member_id:
                await asyncio.sleep(DIAL_PATIENCE)
            if peer in self._peers:
                await self._peers[peer].closed
                continue
            with suppress(OSError, TimeoutError, ssl.SSLError):
                context = None
                if self._certificates is not None:
                    self._certificates.refresh()
                    context = self._certificates.client
                async with asyncio.timeout(GREETING_SECONDS):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self, peer), host, port, ssl=context, local_addr=self._dial_from()
                    )
                await connection.closed
                if connection.peer is not None:
                    attempt = 0
            await asyncio.sleep(BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)])
            attempt += 1

    def _dial_from(self) -> tuple[str, int] | None:
        return (self._config.dial_from, 0) if self._config.dial_from else None
