"""Snapshots for members that lag behind the log, streamed beside the Raft messages.

Leader: `need(peer)` (from the guard) -> a hot copy of the applied state -> offer -> chunks, a few in flight,
each with offset and CRC -> the member's "done" -> appends go on behind the snapshot. Meanwhile that member
gets bare heartbeats. Member: file in `member/snap` -> checksum -> prepared in a thread -> between two rounds,
and only if it still leads beyond what is held here: install, align the log, sync, acknowledge.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kvstore.errors import StoreError
from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.interface import PreparedSnapshot, SnapshotMeta, StateMachine
from kvstore.raft.messages import SNAP_ACK, SNAP_CHUNK, SNAP_OFFER, Message
from kvstore.raft.node import library_clock

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
IN_FLIGHT = 8 * CHUNK_BYTES
PATIENCE_SECONDS = 10.0
SIGN_OF_LIFE_SECONDS = 2.0
GO, HAVE, DONE, FAILED = "go", "have", "done", "failed"

Send = Callable[[Iterable[tuple[int, Message]]], None]


class Owner(Protocol):
    config: RaftConfig
    machine: StateMachine

    def in_round(self, step: Callable[[Core], None]) -> None: ...


@dataclass
class Outgoing:
    """`index` is 0 until the copy is made. `acked`: bytes the member has written."""

    floor: int
    task: asyncio.Task[None] | None = None
    acked: int = 0
    state: str = ""
    index: int = 0
    have: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Incoming:
    peer: int
    offer: Message
    file: Any
    digest: Any
    received: int = 0


class Snapshots:
    def __init__(self, owner: Owner, core: Core, send: Send) -> None:
        self._owner, self._core, self._send = owner, core, send
        self._directory = owner.config.data_dir / "member" / "snap"
        self._outgoing: dict[int, Outgoing] = {}
        self._incoming: Incoming | None = None
        self._preparing: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._numbers = itertools.count(1)
        self._ending: set[asyncio.Task[None]] = set()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._directory.glob("*.tmp"):
            left.unlink()

    def need(self, peer: int) -> None:
        if peer in self._outgoing:
            return
        out = self._outgoing[peer] = Outgoing(self._core.node.applied_index)
        out.task = asyncio.get_running_loop().create_task(self._stream(peer, out), name=f"snapshot {peer:x}")
        self._core.snapshotting.add(peer)

    def oldest_index(self, default: int) -> int:
        """The log is kept from here on: a member that just got a snapshot goes on from its index."""
        return min((out.index or out.floor for out in self._outgoing.values()), default=default)

    def disconnected(self, peer: int) -> None:
        """Forgotten here and not by the task, which may not even have begun."""
        self._end(peer, self._outgoing.get(peer))
        if self._incoming is not None and self._incoming.peer == peer:
            self._drop_incoming()

    async def stop(self) -> None:
        for peer in list(self._outgoing):
            self._end(peer, self._outgoing[peer])
        self._stopped = True
        self._drop_incoming()
        await asyncio.gather(*self._ending, *self._preparing, return_exceptions=True)

    def received(self, peer: int, message: Message) -> None:
        if message["term"] != self._core.node.term:
            return
        if message["type"] == SNAP_ACK:
            self._on_ack(peer, message)
        elif peer == self._core.node.leader_id:
            if message["type"] == SNAP_OFFER:
                self._owner.in_round(lambda core: self._on_offer(core, peer, message))
            else:
                self._on_chunk(peer, message)

    # The leader's side.

    def _end(self, peer: int, out: Outgoing | None) -> None:
        if out is None or self._outgoing.get(peer) is not out:
            return  # ended before; another one may be under way
        del self._outgoing[peer]
        if out.state not in (DONE, HAVE):
            self._core.snapshotting.discard(peer)
        if out.task is not None and out.task is not asyncio.current_task():
            out.task.cancel()
            self._ending.add(out.task)
            out.task.add_done_callback(self._ending.discard)

    async def _copy(self, path: Path) -> SnapshotMeta:
        """The thread cannot be stopped: what it writes for nobody is removed when it is done."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._owner.machine.write_snapshot, path))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(lambda _: path.unlink(missing_ok=True))
            raise

    async def _stream(self, peer: int, out: Outgoing) -> None:
        path = self._directory / f"to-{peer:x}-{next(self._numbers)}.tmp"
        try:
            meta = await self._copy(path)
            out.index = meta.index
            log.info(
                "member %x lags: sending a snapshot of %d bytes at index %d", peer, meta.size, meta.index
            )
            await self._transfer(peer, out, path, meta)
            if out.state in (DONE, HAVE):
                index = out.have
                self._owner.in_round(lambda core: core.peer_has(peer, index))
            else:
                log.warning("member %x could not use the snapshot", peer)
        except TimeoutError:
            log.warning("member %x does not answer to its snapshot", peer)
        except (OSError, StoreError) as error:
            log.error("cannot make a snapshot for member %x: %s", peer, error)
            await asyncio.sleep(PATIENCE_SECONDS / 10)
        finally:
            path.unlink(missing_ok=True)
            self._end(peer, out)

    async def _transfer(self, peer: int, out: Outgoing, path: Path, meta: SnapshotMeta) -> None:
        term = self._core.node.term
        size, digest = await asyncio.to_thread(_describe, path)
        head = {"term": term, "index": meta.index}
        offer = {"type": SNAP_OFFER, "entry_term": meta.term, "size": size, "sha256": digest}
        self._send([(peer, {**offer, **head})])
        await self._news(out)
        sent = 0
        with path.open("rb") as file:
            while out.state == GO and self._core.node.term == term:
                while sent < size and sent - out.acked < IN_FLIGHT:
                    data = file.read(CHUNK_BYTES)
                    chunk = {"type": SNAP_CHUNK, "offset": sent, "data": data, "crc": zlib.crc32(data)}
                    self._send([(peer, {**chunk, **head})])
                    sent += len(data)
                await self._news(out)

    async def _news(self, out: Outgoing) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await out.news.wait()
        out.news.clear()

    def _on_ack(self, peer: int, message: Message) -> None:
        out = self._outgoing.get(peer)
        if out is None or not self._core.node.is_leader:
            return
        self._core.node.heard_from(peer, library_clock())
        out.acked, out.state, out.have = message["offset"], message["state"], message["index"]
        out.news.set()

    # The lagging member's side.

    def _on_offer(self, core: Core, peer: int, message: Message) -> None:
        self._drop_incoming()
        index = message["index"]
        if core.journal.term_at(index) == message["entry_term"]:
            core.node.committed(index)
        if index <= core.node.commit_index:
            core.hold(peer, self._ack(message, HAVE, 0, max(index, core.node.applied_index)))
            return
        try:
            file = (self._directory / "incoming.tmp").open("wb")
        except OSError as error:
            log.error("cannot receive a snapshot: %s", error)
            core.hold(peer, self._ack(message, FAILED))
            return
        self._incoming = Incoming(peer, message, file, hashlib.sha256())
        core.hold(peer, self._ack(message, GO))

    def _on_chunk(self, peer: int, message: Message) -> None:
        incoming = self._incoming
        if incoming is None or peer != incoming.peer or message["index"] != incoming.offer["index"]:
            return
        data = message["data"]
        if message["offset"] != incoming.received or zlib.crc32(data) != message["crc"]:
            self._give_up(incoming, "a damaged chunk")
            return
        try:
            incoming.file.write(data)
        except OSError as error:
            self._give_up(incoming, str(error))
            return
        incoming.digest.update(data)
        incoming.received += len(data)
        if incoming.received < incoming.offer["size"]:
            self._send([(peer, self._ack(incoming.offer, GO, incoming.received))])
        elif incoming.digest.hexdigest() != incoming.offer["sha256"]:
            self._give_up(incoming, "a wrong checksum")
        else:
            incoming.file.close()
            task = asyncio.get_running_loop().create_task(
                self._prepare(incoming), name="snapshot preparation"
            )
            self._preparing.add(task)
            task.add_done_callback(self._preparing.discard)

    async def _prepare(self, incoming: Incoming) -> None:
        """Not cut short by `_drop_incoming`, only made useless: a thread cannot be stopped."""
        path = self._directory / "incoming.tmp"
        work = asyncio.ensure_future(asyncio.to_thread(self._owner.machine.prepare_snapshot, path))
        while not (await asyncio.wait([work], timeout=SIGN_OF_LIFE_SECONDS))[0]:
            if incoming is self._incoming:
                self._send([(incoming.peer, self._ack(incoming.offer, GO, incoming.received))])
        try:
            prepared = work.result()
        except StoreError as error:
            if incoming is self._incoming:
                self._give_up(incoming, str(error))
            return
        if incoming is not self._incoming or self._stopped:
            prepared.discard()
            return
        self._owner.in_round(lambda core: self._install(core, incoming, prepared))

    def _install(self, core: Core, incoming: Incoming, prepared: PreparedSnapshot) -> None:
        if incoming is not self._incoming:
            prepared.discard()
            return
        offer = incoming.offer
        if offer["index"] > core.node.commit_index:
            prepared.install()
            core.snapshot_installed(offer["index"], offer["entry_term"])
            log.info("installed a snapshot at index %d", offer["index"])
        else:
            prepared.discard()
        core.hold(incoming.peer, self._ack(offer, DONE, incoming.received))
        self._drop_incoming()

    def _give_up(self, incoming: Incoming, what: str) -> None:
        log.warning("gave up the snapshot from member %x: %s", incoming.peer, what)
        self._send([(incoming.peer, self._ack(incoming.offer, FAILED))])
        self._drop_incoming()

    def _ack(self, offer: Message, state: str, offset: int = 0, index: int | None = None) -> Message:
        at = offer["index"] if index is None else index
        return {"type": SNAP_ACK, "term": offer["term"], "index": at, "offset": offset, "state": state}

    def _drop_incoming(self) -> None:
        if self._incoming is not None:
            self._incoming.file.close()
            self._incoming = None
        (self._directory / "incoming.tmp").unlink(missing_ok=True)


def _describe(path: Path) -> tuple[int, str]:
    """(bytes, SHA-256) of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
