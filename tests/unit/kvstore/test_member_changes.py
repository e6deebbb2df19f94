"""Members come and go: the rules as tables, then real members over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kvstore.config import MemberConfig
from kvstore.errors import (
    FailedPrecondition,
    LearnerNotReady,
    MemberBadURLs,
    MemberNotEnoughStarted,
    MemberNotFound,
    MemberNotLearner,
    NotSupportedForLearner,
    PeerURLExists,
    RemovedFromCluster,
    RequestTimeout,
    StoreError,
    TooManyLearners,
    Unhealthy,
)
from kvstore.member import Member
from kvstore.membership import Members, checked_urls, may_add, may_remove
from kvstore.types import (
    MemberAddRequest,
    MemberChangeRequest,
    MemberInfo,
    MemberPromoteRequest,
    MemberPublishRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
    PutRequest,
    RangeRequest,
)
from tests.unit.kvstore.test_member import addresses


def voter(id_: int, name: str | None = None) -> MemberInfo:
    return MemberInfo(id_, f"m{id_}" if name is None else name, (f"http://h:{id_}",))


THREE = (voter(1), voter(2), voter(3))
WITH_LEARNER = (*THREE, MemberInfo(4, "m4", ("http://h:4",), (), True))


@pytest.mark.parametrize(
    ("members", "request_", "error"),
    [
        (THREE, MemberAddRequest(9, ("http://h:9",), False), None),
        (THREE, MemberAddRequest(9, ("http://h:9", "http://h:2"), False), PeerURLExists),
        (THREE, MemberAddRequest(9, ("http://h:3",), True), PeerURLExists),
        (WITH_LEARNER, MemberAddRequest(9, ("http://h:9",), True), TooManyLearners),
        (WITH_LEARNER, MemberAddRequest(9, ("http://h:9",), False), None),
        (THREE, MemberRemoveRequest(9), MemberNotFound),
        (THREE, MemberRemoveRequest(3), None),
        (THREE, MemberUpdateRequest(9, ("http://h:9",)), MemberNotFound),
        (THREE, MemberUpdateRequest(1, ("http://h:2",)), PeerURLExists),
        (THREE, MemberUpdateRequest(1, ("http://h:1",)), None),
        (THREE, MemberPromoteRequest(1), MemberNotLearner),
        (THREE, MemberPromoteRequest(9), MemberNotFound),
        (WITH_LEARNER, MemberPromoteRequest(4), None),
        (THREE, MemberPublishRequest(9, "x", ()), MemberNotFound),
    ],
)
def test_what_a_change_is_refused_for(
    members: tuple[MemberInfo, ...], request_: MemberChangeRequest, error: type[StoreError] | None
) -> None:
    found = Members(members)
    if error is None:
        found.apply(request_)
        return
    with pytest.raises(error):
        found.apply(request_)
    assert found.all() == members


def test_a_removed_member_never_comes_back_under_its_id() -> None:
    members = Members(THREE)
    members.apply(MemberRemoveRequest(3))
    with pytest.raises(StoreError):
        members.apply(MemberAddRequest(3, ("http://h:3",), False))
    members.apply(MemberAddRequest(4, ("http://h:3",), False))
    assert [member.id for member in members.all()] == [1, 2, 4]


@pytest.mark.parametrize(
    ("members", "reachable", "error"),
    [
        ((voter(1),), {1}, None),
        ((voter(1), voter(2, "")), {1}, MemberNotEnoughStarted),
        (THREE, {1, 2, 3}, None),
        ((*THREE, voter(4, "")), {1, 2, 3}, Unhealthy),
        (THREE, {1, 2}, Unhealthy),
        (WITH_LEARNER, {1, 2, 3}, None),
    ],
)
def test_adding_a_voter_must_not_cost_the_majority(
    members: tuple[MemberInfo, ...], reachable: set[int], error: type[StoreError] | None
) -> None:
    with pytest.raises(error) if error else contextlib.nullcontext():
        may_add(members, reachable)


@pytest.mark.parametrize(
    ("members", "id_", "reachable", "error"),
    [
        (THREE, 3, {1, 2, 3}, None),
        (THREE, 3, {1, 2}, None),  # it is down anyway
        (THREE, 2, {1, 2}, Unhealthy),
        ((voter(1),), 1, {1}, MemberNotEnoughStarted),
        ((voter(1), voter(2)), 2, {1, 2}, None),
        ((voter(1), voter(2, "")), 1, {1}, MemberNotEnoughStarted),
        ((voter(1), voter(2, "")), 2, {1}, None),
        (WITH_LEARNER, 4, {1}, None),
        (THREE, 9, {1}, None),  # not found is said by the change itself
    ],
)
def test_removing_a_voter_must_not_cost_the_majority(
    members: tuple[MemberInfo, ...], id_: int, reachable: set[int], error: type[StoreError] | None
) -> None:
    with pytest.raises(error) if error else contextlib.nullcontext():
        may_remove(members, id_, reachable)


@pytest.mark.parametrize(
    "urls",
    [
        [],
        [""],
        ["127.0.0.1:1"],
        ["ftp://127.0.0.1:1"],
        ["http://127.0.0.1"],
        ["http://127.0.0.1:1/path"],
        ["http://127.0.0.1:99999"],
        ["http://127.0.0.1:1", "nonsense"],
    ],
)
def test_urls_that_no_member_can_have(urls: list[str]) -> None:
    with pytest.raises(MemberBadURLs):
        checked_urls(urls)


class Cluster:
    """Members by name, as etcd's flags would start them."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.where = addresses(size + 2)
        self.founders = list(self.where)[:size]
        self.members: dict[str, Member] = {}

    def url(self, name: str) -> str:
        return "http://{}:{}".format(*self.where[name])

    async def start(self, name: str, *, joins: bool = False, force_new: bool = False) -> Member:
        cluster = {each: self.where[each] for each in ([*self.founders, name] if joins else self.founders)}
        member = Member(
            MemberConfig(
                name,
                self.directory / name,
                cluster,
                self.where[name],
                "t",
                heartbeat_interval=0.03,
                election_timeout=0.3,
                unsafe_no_fsync=True,
                client_urls=(f"http://{name}:2379",),
                joins=joins,
                follows_state=True,
                force_new_cluster=force_new,
            )
        )
        await member.start()
        self.members[name] = member
        return member

    async def stop(self, *names: str) -> None:
        for name in names or list(self.members):
            await self.members.pop(name).stop()


def with_cluster(directory: Path, size: int, test: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        cluster = Cluster(directory, size)
        try:
            for name in cluster.founders:
                await cluster.start(name)
            await cluster.members["m1"].wait_leader(10)
            async with asyncio.timeout(30):
                await test(cluster)
        finally:
            await cluster.stop()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - real sockets
            await asyncio.sleep(0.02)


def test_a_learner_catches_up_is_promoted_and_then_counts(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        m1 = cluster.members["m1"]
        await m1.put(PutRequest(b"a", b"1"))
        added = await m1.member_add([cluster.url("m4")], is_learner=True)
        assert added.member is not None
        assert added.member.is_learner
        assert added.member.name == ""
        with pytest.raises(LearnerNotReady):
            await m1.member_promote(added.member.id)
        m4 = await cluster.start("m4", joins=True)
        assert m4.id == added.member.id
        await until(lambda: m4.revision() == m1.revision())
        await until(lambda: [m.name for m in m1.member_list() if m.id == m4.id] == ["m4"])
        assert m4.is_learner
        for refused in (m4.put(PutRequest(b"a", b"2")), m4.range(RangeRequest(b"a"))):
            with pytest.raises(NotSupportedForLearner):
                await refused
        assert (await m4.range(RangeRequest(b"a", serializable=True))).count == 1
        assert m1.member_list() == m4.member_list()
        await m1.member_promote(m4.id)
        await until(lambda: not m4.is_learner)
        assert (await m4.range(RangeRequest(b"a"))).kvs[0].value == b"1"
        await cluster.stop("m2")  # three of four are the majority now, and m4 is needed for it
        await m1.put(PutRequest(b"b", b"2"))
        await cluster.stop("m3")
        with pytest.raises((StoreError, TimeoutError)):
            async with asyncio.timeout(1.0):
                await m1.put(PutRequest(b"c", b"3"))

    with_cluster(tmp_path, 3, test)


def test_a_cluster_of_one_grows_and_remembers_it_when_started_again(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        m1 = cluster.members["m1"]
        await m1.put(PutRequest(b"a", b"1"))
        added = await m1.member_add([cluster.url("m2")])
        assert added.member is not None
        m2 = await cluster.start("m2", joins=True)
        assert m2.id == added.member.id
        await m2.put(PutRequest(b"b", b"2"))
        ids = [member.id for member in m1.member_list()]
        await cluster.stop()
        await cluster.start("m1")
        with pytest.raises((RequestTimeout, TimeoutError)):
            async with asyncio.timeout(0.7):
                await cluster.members["m1"].read_index()  # alone it is no majority any more
        m2 = await cluster.start("m2", joins=True)
        await m2.put(PutRequest(b"c", b"3"))
        assert [member.id for member in m2.member_list()] == ids
        assert (await m2.range(RangeRequest(b"a", b"z"))).count == 3

    with_cluster(tmp_path, 1, test)


def test_a_removed_member_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = next(m for m in cluster.members.values() if m.is_leader)
        other = next(m for m in cluster.members.values() if not m.is_leader)
        await other.member_remove(leader.id)
        async with asyncio.timeout(5):
            assert isinstance(await leader.wait_failure(), RemovedFromCluster)
        await other.put(PutRequest(b"a", b"1"))
        assert len(other.member_list()) == 2
        with pytest.raises(MemberNotFound):
            await other.member_remove(leader.id)
        await cluster.stop(leader.config.name)
        async with asyncio.timeout(5):
            again = await cluster.start(leader.config.name)
            assert isinstance(await again.wait_failure(), RemovedFromCluster)

    with_cluster(tmp_path, 3, test)


def test_a_change_is_saved_before_anybody_hears_of_it(tmp_path: Path) -> None:
    """A member that was removed ends: after a loss of power nobody could be asked whether it was."""

    async def test(cluster: Cluster) -> None:
        member = next(iter(cluster.members.values()))
        await member.member_add([cluster.url("m2")], is_learner=True)
        machine = member._state()
        assert machine.durable_index() == machine.applied()[0]

    with_cluster(tmp_path, 1, test)


def test_a_member_that_was_down_when_it_was_removed_learns_it_at_its_start(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        id_, gone = max((member.id, name) for name, member in cluster.members.items())  # the others dial it
        await cluster.stop(gone)
        await next(iter(cluster.members.values())).member_remove(id_)
        member = await cluster.start(gone)
        async with asyncio.timeout(5):
            assert isinstance(await member.wait_failure(), RemovedFromCluster)

    with_cluster(tmp_path, 3, test)


def test_a_member_follows_a_leader_that_joined_while_it_was_down(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        m1, m2 = cluster.members["m1"], cluster.members["m2"]
        await m1.put(PutRequest(b"a", b"0"))
        await m1.member_add([cluster.url("m4")])
        await cluster.stop("m3")
        m4 = await cluster.start("m4", joins=True)
        await until(lambda: m4.revision() == m1.revision() and m4.member_name(m4.id) == "m4")
        added = await m4.put(PutRequest(b"a", b"1"))
        leader = next(m for m in (m1, m2, m4) if m.is_leader)
        if leader is not m4:
            await leader.move_leader(m4.id)
            await until(lambda: m4.is_leader)
        m3 = await cluster.start("m3")
        await until(lambda: m3.revision() == added.header.revision)
        assert m4.is_leader

    with_cluster(tmp_path, 3, test)


def test_one_member_is_enough_to_begin_anew_when_the_majority_is_lost(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        m1 = cluster.members["m1"]
        await m1.put(PutRequest(b"a", b"1"))
        await cluster.stop("m2", "m3")
        adding = asyncio.ensure_future(m1.member_add([cluster.url("m4")]))
        await asyncio.sleep(0.1)  # it may be in the log now, and must not count later
        await cluster.stop("m1")
        await asyncio.gather(adding, return_exceptions=True)
        for force_new in (True, False):
            m1 = await cluster.start("m1", force_new=force_new)
            await m1.put(PutRequest(b"b", b"2"))
            assert [member.name for member in m1.member_list()] == ["m1"]
            assert (await m1.range(RangeRequest(b"a", b"z"))).count == 2
            if force_new:
                await cluster.stop("m1")
        m3 = await cluster.start("m3")
        async with asyncio.timeout(5):
            assert isinstance(await m3.wait_failure(), RemovedFromCluster)

    with_cluster(tmp_path, 3, test)


def test_a_member_that_nobody_added_is_not_let_in(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(FailedPrecondition, match="member add"):
            await cluster.start("m2", joins=True)

    with_cluster(tmp_path, 1, test)
