"""The leader dies by SIGKILL while a client writes through the one kubeconfig."""

from __future__ import annotations

import asyncio
import statistics

import pytest

from tests.support.local_cluster import LocalCluster, eventually
from tests.support.writer import History, assert_nothing_lost, stored_uids, write

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WRITES = 500
KILLS = 5


def test_no_acknowledged_write_is_lost_over_five_leader_kills(cluster: LocalCluster) -> None:
    gaps = [asyncio.run(kill_leader_under_load(cluster, f"kill{n}")) for n in range(KILLS)]
    print(f"time without acknowledged writes: median {statistics.median(gaps):.2f} s, all {gaps}")


async def kill_leader_under_load(cluster: LocalCluster, prefix: str) -> float:
    """One round; the longest time in seconds without an acknowledged write."""
    history = History()
    async with asyncio.timeout(60):
        writing = asyncio.create_task(write(cluster.kubeconfig, prefix, WRITES, history))
        while len(history.times) < WRITES // 5 and not writing.done():  # noqa: ASYNC110 - the writer is part of the measurement
            await asyncio.sleep(0.01)
        victim = leader(cluster)
        await asyncio.to_thread(cluster.kuberaft, "kill", "leader")
        await writing
    assert_nothing_lost(history, await stored_uids(cluster.kubeconfig, prefix))
    await asyncio.to_thread(cluster.kuberaft, "start", victim)
    await asyncio.to_thread(eventually, lambda: all_members_follow(cluster), "all three members are up")
    return history.longest_gap()


def leader(cluster: LocalCluster) -> str:
    return next(m["name"] for m in cluster.status()["members"] if m["leader"])


def all_members_follow(cluster: LocalCluster) -> bool:
    members = cluster.status()["members"]
    return len(members) == 3 and all(m["ready"] for m in members)
