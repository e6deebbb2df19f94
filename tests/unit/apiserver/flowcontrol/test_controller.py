"""Requests that run, wait and go, in virtual time; and the levels that follow the stored objects."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.auth.user import User
from apiserver.flowcontrol.controller import LEVELS, SCHEMAS, FlowController, Rejected
from apiserver.http import request_info
from apiserver.http.flow_bootstrap import bundled
from apiserver.storage.cacher import Caches
from apiserver.storage.memory import MemoryStorage
from tests.support.virtual_time import run_virtual

ANN = User("ann", ("system:authenticated",))
BOB = User("bob", ("system:authenticated",))
SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
PODS = request_info.parse("GET", "/api/v1/pods", {})


class World:
    """A controller with few seats; ``waits`` are what it reports."""

    def __init__(self, seats: int = 12, patience: float = 15.0) -> None:
        self.waits: list[tuple[str, bool, float]] = []
        clock = asyncio.get_running_loop().time
        self.flow = FlowController(bundled(), seats, patience, clock, self._waited)

    def _waited(self, level: str, schema: str, executed: bool, seconds: float) -> None:
        self.waits.append((schema, executed, round(seconds, 6)))

    async def request(self, user: User, seconds: float) -> float:
        """When it ended. Raises Rejected."""
        found = self.flow.classify(PODS, user)
        ticket = await self.flow.enter(found)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.flow.leave(found, ticket)
        return asyncio.get_running_loop().time()


def test_a_flood_by_a_user_does_not_delay_system_clients() -> None:
    async def main() -> None:
        world = World()
        flood = [asyncio.ensure_future(world.request(ANN, 1.0)) for _ in range(200)]
        await asyncio.sleep(0.25)
        assert world.flow.levels["global-default"].queues.waiting > 0
        assert await world.request(SCHEDULER, 0.25) == 0.5
        assert await world.request(BOB, 0.5) <= 6.5, (
            "of the same level: one of each queue of the flood goes first"
        )
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        level = world.flow.levels["global-default"]
        assert (level.queues.executing, level.queues.waiting) == (0, 0)
        assert set(level.waiting.values()) | set(level.executing.values()) == {0}

    run_virtual(main())


def test_who_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    async def main() -> None:
        world = World(seats=1, patience=3.0)
        holding = asyncio.ensure_future(world.request(ANN, 10.0))
        await asyncio.sleep(0)
        with pytest.raises(Rejected, match="time-out"):
            await world.request(ANN, 1.0)
        assert asyncio.get_running_loop().time() == 3.0
        assert world.waits == [("global-default", False, 3.0)]
        await holding
        assert await world.request(ANN, 1.0) == 11.0

    run_virtual(main())


def test_a_seat_that_comes_with_the_cancellation_goes_to_the_next() -> None:
    async def main() -> None:
        world = World(seats=1)
        first = asyncio.ensure_future(world.request(ANN, 5.0))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(world.request(ANN, 5.0))
        third = asyncio.ensure_future(world.request(ANN, 5.0))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.sleep(0)  # the seat is the second's now, and it does not know yet
        second.cancel()
        assert await third == 6.0
        for one in (first, second):
            with suppress(asyncio.CancelledError):
                await one

    run_virtual(main())


def stored(name: str, spec: dict[str, Any]) -> bytes:
    return codec.encode(
        {"kind": "X", "apiVersion": "v1", "metadata": {"name": name, "uid": name}, "spec": spec}
    )


def test_the_levels_follow_the_store() -> None:
    async def main() -> None:
        world, storage = World(seats=10), MemoryStorage()
        caches = Caches(storage)
        following = asyncio.ensure_future(world.flow.follow(caches))
        rule = {
            "subjects": [{"kind": "User", "user": {"name": "ann"}}],
            "resourceRules": [
                {
                    "verbs": ["*"],
                    "apiGroups": ["*"],
                    "resources": ["*"],
                    "namespaces": ["*"],
                    "clusterScope": True,
                }
            ],
        }
        spec = {"matchingPrecedence": 2, "priorityLevelConfiguration": {"name": "hers"}, "rules": [rule]}
        await storage.create(SCHEMAS + "hers", stored("hers", spec))
        await asyncio.sleep(1)
        assert world.flow.classify(PODS, ANN).schema.name == "catch-all", "her level is not there yet"
        level = {"type": "Limited", "limited": {"nominalConcurrencyShares": 5}}
        revision = await storage.create(LEVELS + "hers", stored("hers", level))
        await asyncio.sleep(1)
        found = world.flow.classify(PODS, ANN)
        assert (found.schema.name, found.schema.uid, found.level.config.seats) == ("hers", "hers", 5)
        assert world.flow.classify(PODS, BOB).schema.name == "catch-all"
        await storage.delete(LEVELS + "hers", revision)
        await asyncio.sleep(1)
        assert world.flow.classify(PODS, ANN).schema.name == "catch-all"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await caches.close()

    run_virtual(main())
