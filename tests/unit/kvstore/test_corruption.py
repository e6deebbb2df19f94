"""Members compare their data: who is accused, by whom, and what a damaged record does to three members."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kvstore import inspector
from kvstore.command import Command, Request, encode
from kvstore.corruption import UNKNOWN, Comparison, Point
from kvstore.errors import Corrupt, DataCorrupt, Stopped
from kvstore.inspector import Inspector
from kvstore.mvcc import record
from kvstore.statemachine import KVStateMachine
from kvstore.types import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DeleteRangeRequest,
    HashCheckRequest,
    HashReportRequest,
    PutRequest,
)

THREE = {1, 2, 3}
FIVE = {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("members", "reports", "odd", "settled"),
    [
        (THREE, {}, set(), False),
        (THREE, {1: 7}, set(), False),
        (THREE, {1: 7, 2: 7}, set(), True),
        (THREE, {1: 7, 2: 8}, set(), False),
        (THREE, {1: 7, 2: 8, 3: 8}, {1}, True),
        (THREE, {1: 7, 2: 8, 3: 9}, {UNKNOWN}, True),
        (THREE, {1: 7, 2: 7, 9: 8}, set(), True),  # 9 is no voter
        ({1, 2}, {1: 7, 2: 8}, {UNKNOWN}, True),
        ({1}, {1: 7}, set(), True),
        (FIVE, {1: 7, 2: 8, 3: 7, 4: 7}, {2}, True),
        (FIVE, {1: 7, 2: 7, 3: 8, 4: 8}, set(), False),
        (FIVE, {1: 7, 2: 7, 3: 8, 4: 8, 5: 9}, {UNKNOWN}, True),
        (FIVE, {1: 7, 2: 7, 3: 7, 4: 8, 5: 9}, {4, 5}, True),
    ],
)
def test_the_majority_is_right(
    members: set[int], reports: dict[int, int], odd: set[int], settled: bool
) -> None:
    comparison = Comparison()
    comparison.begin(Point(10, 5, 0))
    for member, hash_ in reports.items():
        comparison.report(HashReportRequest(member, 10, hash_))
        comparison.report(HashReportRequest(member, 9, 0))  # of an earlier check
    assert comparison.odd_ones(members) == odd
    assert comparison.is_settled(members) == settled
    comparison.end()
    assert comparison.odd_ones(members) == set()


class Cluster:
    """Three members that all see one log; `damage` changes a record behind the back of one of them."""

    def __init__(self, path: Path) -> None:
        self.machines = {n: KVStateMachine(path / str(n), cluster_id=1, member_id=n) for n in THREE}
        self.index = 0

    def apply(self, command: bytes) -> Any:
        self.index += 1
        results = [machine.apply(self.index, 1, [command])[0] for machine in self.machines.values()]
        for machine in self.machines.values():
            machine.flush()
        return results[0]

    def __call__(self, *requests: Request) -> list[Any]:
        return [self.apply(encode(Command(request))) for request in requests]

    def damage(self, member: int, revision: int) -> None:
        table = self.machines[member]._backend.history
        at = record.pack_revision(revision, 0)
        data = table.get(at)
        assert data is not None
        table.put(at, data[:-1] + b"!")

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    cluster = Cluster(tmp_path)
    cluster(PutRequest(b"a", b"1"), PutRequest(b"a", b"2"), PutRequest(b"b", b"1"), DeleteRangeRequest(b"b"))
    yield cluster
    cluster.close()


def hash_all(cluster: Cluster) -> None:
    due = {n: machine.hash_due() for n, machine in cluster.machines.items()}
    for n, job in due.items():
        assert job is not None
        index, run = job
        cluster(HashReportRequest(n, index, run()))


def test_equal_members_agree_however_far_each_has_reclaimed_space(cluster: Cluster) -> None:
    cluster(CompactionRequest(4))
    cluster.machines[2].flush()
    cluster(PutRequest(b"b", b"again"), HashCheckRequest(), PutRequest(b"later"))
    hash_all(cluster)
    assert [machine.comparison.odd_ones(THREE) for machine in cluster.machines.values()] == [set()] * 3
    assert all(machine.comparison.is_settled(THREE) for machine in cluster.machines.values())


def test_every_member_knows_who_is_wrong(cluster: Cluster) -> None:
    cluster.damage(3, 2)
    cluster(HashCheckRequest(), PutRequest(b"later"))
    hash_all(cluster)
    assert [machine.comparison.odd_ones(THREE) for machine in cluster.machines.values()] == [{3}] * 3
    assert all(machine.hash_due() is None for machine in cluster.machines.values())


def test_a_check_is_dropped_if_what_it_asks_for_was_compacted(cluster: Cluster) -> None:
    cluster(HashCheckRequest(), CompactionRequest(3))
    assert cluster.machines[1].hash_due() is None


def test_a_hash_ends_when_the_member_does(tmp_path: Path) -> None:
    machine = KVStateMachine(tmp_path, cluster_id=1, member_id=1)
    machine.apply(1, 1, [encode(Command(PutRequest(b"a")))])
    run = machine.hash_kv()
    machine.close()
    with pytest.raises(Stopped):
        run()


class Viewed:
    """One member of the cluster, as its inspector sees it."""

    def __init__(self, cluster: Cluster, id_: int) -> None:
        self.cluster, self.id, self.is_leader = cluster, id_, id_ == 1

    def inspected(self) -> KVStateMachine:
        return self.cluster.machines[self.id]

    def voters(self) -> set[int]:
        return THREE

    async def propose(self, command: bytes) -> object:
        return self.cluster.apply(command)


async def inspecting(cluster: Cluster, interval: float, until: Callable[[], Awaitable[None]]) -> None:
    members = [Viewed(cluster, n) for n in THREE]
    tasks = [asyncio.create_task(Inspector(member, interval).run()) for member in members]
    try:
        async with asyncio.timeout(10):
            await until()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "POLL_SECONDS", 0.01)


@pytest.mark.parametrize("wrong", [1, 2])
def test_the_leader_accuses_even_itself(cluster: Cluster, wrong: int) -> None:
    cluster.damage(wrong, 3)

    async def accused() -> None:
        while not cluster.machines[3].alarms().alarms:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.01)

    asyncio.run(inspecting(cluster, 0.02, accused))
    assert cluster.machines[3].alarms().alarms == (AlarmMember(wrong, AlarmType.CORRUPT),)
    assert isinstance(cluster(PutRequest(b"x"))[0], Corrupt)
    ended = AlarmRequest(AlarmAction.DEACTIVATE, wrong, AlarmType.CORRUPT)
    cluster(ended)
    assert cluster.machines[2].comparison.odd_ones(THREE) == set(), (
        "nobody raises it again without a new check"
    )


def test_a_wrong_member_does_not_begin_to_serve(cluster: Cluster) -> None:
    cluster.damage(2, 3)

    async def started() -> None:
        await Inspector(Viewed(cluster, 3), 0).check(5)
        with pytest.raises(DataCorrupt, match="rejoin"):
            await Inspector(Viewed(cluster, 2), 0).check(5)

    asyncio.run(inspecting(cluster, 0, started))


def test_a_member_that_reaches_nobody_begins_to_serve(cluster: Cluster) -> None:
    asyncio.run(Inspector(Viewed(cluster, 2), 0).check(0.1))
