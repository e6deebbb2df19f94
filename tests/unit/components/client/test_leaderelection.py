"""Leader election in virtual time: one leader, fail-over, loss, release."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from components.client.errors import ConnectionFailed
from components.client.leaderelection import ElectionConfigError, ElectionTimes, LeaderElector, LeadershipLost
from components.client.resources import LEASES
from components.client.testing import Action, FakeApi
from tests.support.virtual_time import run_virtual

KEY = "kube-system/test"


class Replica:
    """Counts how often it leads; `cut` takes its network away."""

    def __init__(self, api: FakeApi, name: str) -> None:
        self.leading = False
        self.terms = 0
        self.elector = LeaderElector(api, "test", name, self._lead)
        self.task: asyncio.Task[None] = asyncio.create_task(self.elector.run())

    async def _lead(self) -> None:
        self.leading, self.terms = True, self.terms + 1
        try:
            await asyncio.sleep(1e6)
        finally:
            self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def virtually(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def spec_of(api: FakeApi) -> dict[str, Any]:
    lease = api.peek(LEASES, KEY)
    assert lease is not None
    return dict(lease["spec"])


def test_only_one_leads_and_a_release_hands_over_at_once() -> None:
    async def main() -> None:
        api = FakeApi()
        first = Replica(api, "first")
        await asyncio.sleep(1)
        second = Replica(api, "second")
        await asyncio.sleep(120)
        assert (first.leading, second.leading) == (True, False)
        assert spec_of(api)["holderIdentity"] == "first"
        await first.stop()
        assert spec_of(api)["holderIdentity"] == ""
        await asyncio.sleep(6)
        assert (first.leading, second.leading) == (False, True)
        assert spec_of(api)["leaseTransitions"] == 1
        await second.stop()

    virtually(main())


def test_dead_leader_is_replaced_only_after_the_lease_duration() -> None:
    async def main() -> None:
        api = FakeApi()
        taken = {
            "holderIdentity": "dead",
            "leaseDurationSeconds": 15,
            "renewTime": "2030-01-01T00:00:00.000000Z",
        }
        api.load(LEASES, {"metadata": {"name": "test", "namespace": "kube-system"}, "spec": taken})
        replica = Replica(api, "alive")
        await asyncio.sleep(14)
        assert not replica.leading
        await asyncio.sleep(7)
        assert replica.leading
        await replica.stop()

    virtually(main())


def test_leader_that_cannot_renew_stops_before_another_can_start() -> None:
    async def main() -> None:
        api = FakeApi()
        first = Replica(api, "first")
        await asyncio.sleep(5)

        def cut(action: Action) -> None:
            if action.verb == "get" or (action.body or {}).get("spec", {}).get("holderIdentity") == "first":
                raise ConnectionFailed("cut off")

        api.reactors.append(cut)
        await asyncio.sleep(13)
        assert not first.leading
        with pytest.raises(LeadershipLost):
            await first.task

    virtually(main())


def test_stolen_lease_ends_leadership() -> None:
    async def main() -> None:
        api = FakeApi()
        first = Replica(api, "first")
        await asyncio.sleep(5)
        await api.patch(LEASES, "test", {"spec": {"holderIdentity": "thief"}}, "kube-system")
        await asyncio.sleep(5)
        assert not first.leading
        assert isinstance(first.task.exception(), LeadershipLost)
        assert spec_of(api)["holderIdentity"] == "thief"

    virtually(main())


@pytest.mark.parametrize(("written", "left"), [("first", ""), ("thief", "thief")])
def test_a_lease_is_released_as_it_is_though_its_last_renewal_was_not_waited_for(
    written: str, left: str
) -> None:
    async def main() -> None:
        api = FakeApi()
        first = Replica(api, "first")
        await asyncio.sleep(5)
        renewed = {"spec": {"renewTime": "2030-01-01T00:00:00.000000Z", "holderIdentity": written}}
        await api.patch(LEASES, "test", renewed, "kube-system")
        await first.stop()
        assert spec_of(api)["holderIdentity"] == left

    virtually(main())


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2, 2)])
def test_durations_that_do_not_fit_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ElectionConfigError):
        ElectionTimes(*times)
