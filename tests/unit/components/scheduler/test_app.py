"""A replica of the scheduler from standby to leadership, in virtual time."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from components.client.leaderelection import ElectionTimes
from components.client.resources import PODS
from components.client.testing import Action, FakeApi
from components.client.transport import ApiClient
from components.scheduler.app import SchedulerOptions, run_term
from tests.support.virtual_time import run_virtual

TIMES = ElectionTimes(lease_duration=4.0, renew_deadline=3.0, retry_period=1.0)


def replica(api: FakeApi, name: str, *, delay: bool) -> asyncio.Task[None]:
    options = SchedulerOptions(election=TIMES, identity=name, delay_cache_until_active=delay)
    return asyncio.create_task(run_term(cast(ApiClient, api), options))


@pytest.mark.parametrize("delay", [True, False])
def test_a_standby_reads_pods_before_it_leads_unless_told_to_wait(delay: bool) -> None:
    async def main() -> None:
        api = FakeApi()
        reads: list[str] = []

        def note(action: Action) -> None:
            if action.gvr == PODS and action.verb == "list":
                reads.append(action.verb)

        api.reactors.append(note)
        leader = replica(api, "a", delay=delay)
        await asyncio.sleep(2)
        assert len(reads) == 1
        standby = replica(api, "b", delay=delay)
        await asyncio.sleep(2)
        assert len(reads) == (1 if delay else 2)
        leader.cancel()
        await asyncio.wait({leader})
        await asyncio.sleep(5)
        assert len(reads) == 2, "the standby leads now"
        standby.cancel()
        await asyncio.wait({standby})

    run_virtual(main())
