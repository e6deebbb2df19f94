"""Frames of another member, after its greeting: what a member makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import cbor2

from kvstore.raft.config import Voting
from kvstore.raft.core import Core
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import APPEND, ENTRY, IN_ROUNDS, SHAPES, fault
from kvstore.raft.proposals import Proposals
from kvstore.raft.readindex import ReadIndex
from kvstore.raft.transport import LENGTH, Connection
from kvstore.raft.wal import Wal
from tests.simulation.disk import SimulatedFiles
from tests.storefuzz.support import CLUSTER, CUT, MEMBER, Target, in_loop
from tests.unit.kvstore.rpc.wire import Transport


class _Machine:
    """Applies nothing; commands are the state machine's target."""

    def __init__(self) -> None:
        self.position = (0, 0)

    def applied(self) -> tuple[int, int]:
        return self.position

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        assert index == self.position[0] + 1
        self.position = (index, term)
        return [None] * len(commands)

    def voting(self) -> Voting | None:
        return None


def _core() -> Core:
    """A member of three."""
    journal = WalJournal(Wal(SimulatedFiles(random.Random(1)), cluster_id=CLUSTER, member_id=MEMBER))
    journal.open((0, 0))
    core = Core(
        MEMBER,
        Voting(frozenset((1, 2, 3))),
        journal,
        _Machine(),
        Proposals(MEMBER, 1, 1 << 20),
        heartbeat=0.1,
        election=1.0,
        max_entry_bytes=1 << 20,
        rng=random.Random(1),
        on_snapshot_needed=lambda _: None,
        clock=lambda: 100.0,
    )
    for peer in (2, 3):
        core.connected(peer)
    return core


class _Owner:
    """Of a connection: delivers what is well formed, in rounds, as the engine does."""

    max_frame = 1 << 20

    def __init__(self) -> None:
        self.core = _core()
        self.reads = ReadIndex(self.core, lambda messages: None, 1)
        self.refusals: list[str] = []

    def opened(self, connection: Connection) -> None:
        connection.peer = 2

    def greeting(self, dialled: object) -> dict[str, object]:
        return {}

    def lost(self, connection: Connection) -> None:
        """Nothing to forget."""

    def told_removed(self, connection: Connection) -> None:
        """By one that knows better."""

    def refused(self, what: str) -> None:
        self.refusals.append(what)

    def received(self, connection: Connection, content: Any) -> None:
        if fault(content) is not None:
            return
        if content["type"] in IN_ROUNDS:
            self.core.deliver(2, content)
            self._round()
        elif not content["type"].startswith("snap_"):
            self.reads.received(2, content)

    def _round(self) -> None:
        before = self.core.node.commit_index
        self.core.tick()
        assert self.core.node.commit_index >= before
        self.core.take_early()
        self.core.journal.take_batch()
        self.core.take_held()


def peer() -> Target:
    async def feed(content: bytes) -> None:
        connection = Connection(_Owner())  # type: ignore[arg-type]
        connection.connection_made(Transport())
        if content[:1] == b"\0":
            connection.data_received(content[1:])
            return
        for piece in content.split(CUT):
            connection.data_received(LENGTH.pack(len(piece)) + piece)

    return in_loop(feed)


def seeds() -> list[bytes]:
    samples = {int: 1, bool: True, list: [], str: "x", bytes: b"x"}
    messages = [
        {"type": kind} | {name: samples[of] for name, of in shape.items()} for kind, shape in SHAPES.items()
    ]
    entries = [(ENTRY + cbor2.dumps([(2, n, b"x")]), n, 1) for n in (1, 2)]
    append = {"type": APPEND, "term": 1, "commit_index": 1, "entries": entries}
    messages.append({**append, "prevLogIdx": 0, "prevLogTerm": 0})
    encoded = [cbor2.dumps(message) for message in messages]
    return [*encoded, CUT.join(encoded), b"\0" + LENGTH.pack(len(encoded[0])) + encoded[0]]
