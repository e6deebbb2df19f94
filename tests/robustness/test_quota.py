"""A quota is exact: far more creates than it has room for, through three masters, one of which dies in the middle.

`make quota` is the long form, 1,000 creates.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from components.client.errors import ApiError, ConnectionFailed
from components.client.kubeconfig import load
from components.client.resources import NAMESPACES, RESOURCE_QUOTAS, SECRETS
from components.client.transport import ApiClient
from tests.robustness.rolling.__main__ import TOPOLOGY
from tests.support.local_cluster import LocalCluster

CREATES = int(os.environ.get("QUOTA_CREATES", "200"))
FITTING = CREATES // 2
KILL_AFTER = CREATES // 4
NAMESPACE = "crowded"
PAUSE = 0.05
REFUSED = re.compile(
    rf'secrets "s\d+" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=\d+, '
    rf"limited: secrets={FITTING}"
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120 + CREATES // 4),
    *([pytest.mark.slow] if CREATES > 200 else []),
]


@pytest.fixture
def masters(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three masters and no worker."""
    cluster = LocalCluster(tmp_path / "cluster")
    try:
        cluster.up(TOPOLOGY)
        yield cluster
    finally:
        cluster.close()


@dataclass
class Answers:
    """What the clients were told, by name of the object. ``unsure``: an answer was lost, so it may be stored, and
    the next try may find it there, or find the quota full of what it has itself.
    """

    admitted: dict[str, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.admitted) + len(self.found) + len(self.refused)


class Crowd:
    """Clients of every master. A request that fails in an unknown way is repeated at the next master."""

    def __init__(self, clients: Sequence[ApiClient]) -> None:
        self._clients = clients
        self.answers = Answers()

    async def ask(self, number: int) -> None:
        name = f"s{number}"
        body = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": {}}
        turn = number
        while not await self._tried(self._clients[turn % len(self._clients)], name, body):
            turn += 1
            await asyncio.sleep(PAUSE)

    async def _tried(self, client: ApiClient, name: str, body: dict[str, object]) -> bool:
        """Whether the answer is final."""
        try:
            made = await client.create(SECRETS, body)
        except ApiError as error:
            return self._refused(name, error)
        self.answers.admitted[name] = made["metadata"]["uid"]
        return True

    def _refused(self, name: str, error: ApiError) -> bool:
        if error.code == 403:
            self.answers.refused[name] = error.message
        elif error.is_already_exists:
            self.answers.found.add(name)
        elif isinstance(error, ConnectionFailed) or error.code >= 500:
            self.answers.unsure.add(name)
            return False
        else:
            raise error
        return True

    async def ask_again(self, stored: Collection[str]) -> None:
        """For those that were refused."""
        names = self.answers.refused.keys() - stored
        self.answers.refused = {}
        await asyncio.gather(*(self.ask(int(name[1:])) for name in names))


def test_a_quota_is_exact_while_the_leader_dies(masters: LocalCluster) -> None:
    asyncio.run(crowd_and_kill(masters))


async def crowd_and_kill(cluster: LocalCluster) -> None:
    admin = load(cluster.kubeconfig)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                ApiClient(replace(admin, server=url), user_agent="crowd", timeout=20.0)
            )
            for url in urls_of_masters(cluster)
        ]
        client = await stack.enter_async_context(ApiClient(admin, user_agent="judge"))
        await prepare(client)
        crowd, victim = Crowd(clients), pid_of_leader(cluster)
        asking = asyncio.gather(*(crowd.ask(number) for number in range(CREATES)))
        while crowd.answers.count < KILL_AFTER:  # noqa: ASYNC110 - the crowd is part of the measurement
            await asyncio.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        assert crowd.answers.count < CREATES
        await asking
        stored = await judge(client, crowd.answers)
        print(f"{len(stored)} stored, {len(crowd.answers.unsure)} answers lost")
        # What the dead master had charged and not stored is free again: now those get it who had been refused.
        await crowd.ask_again(stored)
        stored = await judge(client, crowd.answers)
        assert len(stored) == FITTING
        assert len(crowd.answers.refused) == CREATES - FITTING


def urls_of_masters(cluster: LocalCluster) -> list[str]:
    files = sorted((cluster.dir / "config").glob("kube-controller-manager-m*.kubeconfig"))
    assert len(files) == 3
    return [load(file).server for file in files]


def pid_of_leader(cluster: LocalCluster) -> int:
    leader = next(member["name"] for member in cluster.status()["members"] if member["leader"])
    return cluster.process_ids()[leader]


async def prepare(client: ApiClient) -> None:
    """The namespace with its quota, which has been taken up."""
    await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    quota = {"metadata": {"name": "q", "namespace": NAMESPACE}, "spec": {"hard": {"secrets": str(FITTING)}}}
    await client.create(RESOURCE_QUOTAS, quota)
    while await used(client) != 0:  # noqa: ASYNC110 - a controller does it
        await asyncio.sleep(PAUSE)


async def used(client: ApiClient) -> int | None:
    """What the quota's status says; None before it says anything."""
    quota = await client.get(RESOURCE_QUOTAS, "q", NAMESPACE)
    count = ((quota.get("status") or {}).get("used") or {}).get("secrets")
    return None if count is None else int(count)


async def judge(client: ApiClient, answers: Answers) -> dict[str, str]:
    """What is stored, by name: all that was acknowledged, no more than fits, and the books come to say so."""
    items = (await client.list(SECRETS, NAMESPACE))["items"]
    stored = {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
    assert {name: stored.get(name) for name in answers.admitted} == answers.admitted
    assert stored.keys() - answers.admitted.keys() <= answers.unsure
    assert answers.found <= stored.keys()
    assert len(stored) <= FITTING
    assert [text for text in answers.refused.values() if not REFUSED.fullmatch(text)] == []
    async with asyncio.timeout(30):
        while await used(client) != len(stored):  # noqa: ASYNC110 - a controller does it
            await asyncio.sleep(PAUSE)
    return stored
