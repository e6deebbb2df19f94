"""Runs a scheduler as a replica: informers, leader election, and a new start after a lost lease.

Called by `__main__` and by a master process, which passes shorter election times.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from components.client.activity import Activity
from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.kubeconfig import ClientConfig
from components.client.leaderelection import ElectionTimes, LeaderElector, LeadershipLost
from components.client.transport import ApiClient
from components.scheduler.scheduler import Scheduler

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SchedulerOptions:
    """`identity` names this replica in the Lease; host name and a random part by default.

    `delay_cache_until_active` is KubeSchedulerConfiguration's: a standby reads nothing, and takes over a little later.
    """

    leader_elect: bool = True
    delay_cache_until_active: bool = False
    election: ElectionTimes = field(default_factory=ElectionTimes)
    lease_namespace: str = "kube-system"
    lease_name: str = "kube-scheduler"
    scheduler_name: str = "default-scheduler"
    activity: Activity | None = None
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}_{uuid.uuid4()}")


async def run_scheduler(client_config: ClientConfig, options: SchedulerOptions | None = None) -> None:
    """Run until cancelled. A lost lease starts it over, with an empty cache."""
    options = options or SchedulerOptions()
    async with ApiClient(client_config, user_agent="kube-scheduler") as client:
        while True:
            try:
                await run_term(client, options)
            except LeadershipLost as lost:
                logger.warning("%s; standing by", lost)


async def run_term(client: ApiClient, options: SchedulerOptions) -> None:
    """From standby to the end of one leadership."""
    recorder = EventRecorder(client, options.scheduler_name)
    informers = InformerFactory(client)
    scheduler = Scheduler(
        client,
        informers,
        recorder,
        lambda: datetime.now(UTC),
        random.Random(),
        scheduler_name=options.scheduler_name,
        activity=options.activity,
    )
    caching: list[asyncio.Task[None]] = []

    def cache() -> None:
        caching.append(asyncio.create_task(informers.run(), name="scheduler informers"))

    async def schedule() -> None:
        if not caching:
            cache()
        await scheduler.run()

    try:
        if not options.leader_elect:
            await schedule()
            return
        if not options.delay_cache_until_active:
            cache()
        await _lead(client, schedule, options)
    finally:
        for task in caching:
            task.cancel()
        await asyncio.gather(*caching, return_exceptions=True)
        await recorder.close()


async def _lead(
    client: ApiClient, schedule: Callable[[], Awaitable[None]], options: SchedulerOptions
) -> None:
    elector = LeaderElector(
        client,
        options.lease_name,
        options.identity,
        schedule,
        namespace=options.lease_namespace,
        lease_duration=options.election.lease_duration,
        renew_deadline=options.election.renew_deadline,
        retry_period=options.election.retry_period,
    )
    await elector.run()
