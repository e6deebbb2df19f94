"""When elections happen and when they do not, with real engines and sockets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from kvstore.raft.engine import Engine
from kvstore.raft.node import library_clock
from tests.unit.kvstore.raft.test_engine import Cluster, until, with_cluster


def slow_down(engine: Engine, seconds: float) -> None:
    """The next sync of that member's log takes so long."""
    commit = engine.wal.commit

    def slow(batch: object) -> None:
        engine.wal.commit = commit  # type: ignore[method-assign]
        time.sleep(seconds)
        commit(batch)  # type: ignore[arg-type]

    engine.wal.commit = slow  # type: ignore[method-assign]


def others(cluster: Cluster, engine: Engine) -> list[Engine]:
    return [each for each in cluster.engines.values() if each is not engine]


def test_a_slow_disk_costs_no_leadership(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        await leader.propose(b"a", 5)
        term = leader.term
        for engines in ([leader], others(cluster, leader)):
            for engine in engines:
                slow_down(engine, 1.2)  # three election timeouts
            await leader.propose(b"b", 5)
            assert (leader.term, leader.is_leader) == (term, True)

    with_cluster(tmp_path, test)


def test_a_member_that_returns_deposes_nobody(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        follower = others(cluster, leader)[0]
        await leader.propose(b"a", 5)
        term, id_ = leader.term, follower.config.member_id
        for _ in range(2):
            await cluster.stop(id_)
            await leader.propose(b"b", 5)
            await cluster.start(id_)
            await until(lambda: cluster.engines[id_].leader_id == leader.config.member_id)
        await asyncio.sleep(1.0)
        assert {each.term for each in cluster.engines.values()} == {term}

    with_cluster(tmp_path, test)


def test_a_member_that_only_sees_a_follower_raises_no_term(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        await leader.propose(b"a", 5)
        cut, term = others(cluster, leader)[0], leader.term
        refuse(leader, cut)
        refuse(cut, leader)
        await asyncio.sleep(1.5)
        assert leader.is_leader
        assert {each.term for each in cluster.engines.values()} == {term}

    with_cluster(tmp_path, test)


def refuse(engine: Engine, peer: Engine) -> None:
    """No connection between them any more."""
    transport, id_ = engine._transport, peer.config.member_id
    accept = transport.check_greeting

    def check(connection: object, content: object) -> str | None:
        if isinstance(content, list) and content[2:3] == [id_]:
            return "a greeting through a cut wire"
        return accept(connection, content)  # type: ignore[arg-type]

    transport.check_greeting = check  # type: ignore[method-assign]
    transport._peers[id_].abort()


def test_the_followers_of_a_dead_leader_do_not_wait_for_a_timeout(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        survivors = others(cluster, leader)
        await leader.propose(b"a", 5)
        await asyncio.gather(*(each.read_index(5) for each in survivors))
        leader._transport.abort()  # as the kernel does for a killed process
        for each in survivors:
            each._core.node.put_off(library_clock() + 60)
        await survivors[0].propose(b"b", 5)

    with_cluster(tmp_path, test)


def test_an_isolated_leader_steps_down_and_answers_nothing(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        await leader.propose(b"a", 5)
        for other in others(cluster, leader):
            refuse(leader, other)
            refuse(other, leader)
        waiting = asyncio.ensure_future(leader.read_index(1.5))
        survivor = others(cluster, leader)[0]
        await until(lambda: survivor.leader_id not in (None, leader.config.member_id))
        await survivor.propose(b"b", 5)
        await until(lambda: not leader.is_leader)
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], Exception)

    with_cluster(tmp_path, test)
