"""Whom snapshots are sent to, and that a lost connection ends a transfer at whatever moment it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.messages import SNAP_ACK, SNAP_OFFER, Message
from kvstore.raft.snapshots import DONE, Snapshots
from tests.support.fake_machine import ListMachine

TERM, PEER = 3, 2


class Leader:
    """As much of an engine and its core as snapshots look at."""

    def __init__(self, directory: Path) -> None:
        self.config = RaftConfig(1, "m1", 1, directory, ("127.0.0.1", 0))
        self.machine = ListMachine()
        self.machine.apply(1, TERM, [b"x"])
        self.sent: list[Message] = []
        self.confirmed: asyncio.Queue[int] = asyncio.Queue()
        self.spoke = asyncio.Event()
        self.core = SimpleNamespace(
            node=SimpleNamespace(
                term=TERM, is_leader=True, applied_index=1, leader_id=1, heard_from=lambda peer, now: None
            ),
            snapshotting=set(),
            peer_has=lambda peer, index: self.confirmed.put_nowait(index),
        )
        self.snapshots = Snapshots(self, cast(Core, self.core), self._send)

    def _send(self, messages: Iterable[tuple[int, Message]]) -> None:
        self.sent += [message for _, message in messages]
        self.spoke.set()

    def in_round(self, step: Callable[[Core], None]) -> None:
        step(cast(Core, self.core))

    async def offered(self) -> Message:
        await self.spoke.wait()
        return self.sent[-1]

    def files(self) -> list[Path]:
        return list((self.config.data_dir / "member" / "snap").iterdir())


def with_leader(directory: Path, test: Callable[[Leader], Any]) -> None:
    async def main() -> None:
        leader = Leader(directory)
        await test(leader)
        await leader.snapshots.stop()
        assert not leader.files()

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_member_that_comes_back_at_once_gets_its_snapshot(tmp_path: Path, turns: int) -> None:
    """Its connection is lost after so many turns of the event loop; before the first, the transfer has not begun."""

    async def test(leader: Leader) -> None:
        leader.snapshots.need(PEER)
        for _ in range(turns):
            await asyncio.sleep(0)
        leader.snapshots.disconnected(PEER)
        assert not leader.core.snapshotting
        leader.spoke.clear()
        leader.snapshots.need(PEER)
        offer = await leader.offered()
        leader.snapshots.received(PEER, {**offer, "type": SNAP_ACK, "offset": offer["size"], "state": DONE})
        assert await leader.confirmed.get() == offer["index"]
        assert leader.snapshots.oldest_index(7) == 7

    with_leader(tmp_path, test)


def test_a_copy_that_nobody_waits_for_is_removed(tmp_path: Path) -> None:
    async def test(leader: Leader) -> None:
        leader.snapshots.need(PEER)
        await asyncio.sleep(0)
        leader.snapshots.disconnected(PEER)
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)

    with_leader(tmp_path, test)


def test_what_is_sent_is_kept_in_the_log_meanwhile(tmp_path: Path) -> None:
    async def test(leader: Leader) -> None:
        leader.snapshots.need(PEER)
        leader.snapshots.need(PEER)
        assert leader.snapshots.oldest_index(7) == 1
        await leader.offered()
        assert [message["type"] for message in leader.sent] == [SNAP_OFFER]
        leader.snapshots.disconnected(PEER)
        assert leader.snapshots.oldest_index(7) == 7

    with_leader(tmp_path, test)
