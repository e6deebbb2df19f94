"""All processes die at a random moment under write load; the cluster comes back with everything."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from tests.support.local_cluster import LocalCluster
from tests.support.writer import History, assert_nothing_lost, stored_uids, write

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("KUBERAFT_COLD_STARTS", "3"))
SEED = int(os.environ.get("KUBERAFT_SEED", "0")) or random.randrange(1, 1 << 32)
WRITERS = 3


def test_everything_acknowledged_survives_the_death_of_all_processes(cluster: LocalCluster) -> None:
    print(f"KUBERAFT_SEED={SEED}")
    asyncio.run(die_and_come_back(cluster, random.Random(SEED)))


async def die_and_come_back(cluster: LocalCluster, rng: random.Random) -> None:
    """On one event loop, which sees the writers' broken connections to their end."""
    histories: dict[str, History] = {}
    for number in range(ROUNDS):
        prefixes = [f"cold{number}-{writer}" for writer in range(WRITERS)]
        histories.update((prefix, History()) for prefix in prefixes)
        await write_until_killed(cluster, rng, {p: histories[p] for p in prefixes})
        await asyncio.to_thread(cluster.up)
        for prefix, history in histories.items():
            stored = await stored_uids(cluster.kubeconfig, f"{prefix}-")
            assert_nothing_lost(history, stored)
            assert len(stored) - len(history.acknowledged | dict.fromkeys(history.known_stored)) <= 1


async def write_until_killed(
    cluster: LocalCluster, rng: random.Random, histories: dict[str, History]
) -> None:
    tasks = [
        asyncio.create_task(write(cluster.kubeconfig, prefix, 100_000, history))
        for prefix, history in histories.items()
    ]
    await asyncio.sleep(rng.uniform(0.2, 2.0))
    await asyncio.to_thread(cluster.kill_everything)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, asyncio.CancelledError), outcome
    assert all(history.acknowledged for history in histories.values())
