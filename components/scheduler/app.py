"""Runs a scheduler as a replica: informers, leader election, and a new start after a lost lease.

Called by `__main__` and by a master process, which passes shorter election times.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import uuid
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
    """`identity` names this replica in the Lease; host name and a random part by default."""

    leader_elect: bool = True
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
                await _run_term(client, options)
            except LeadershipLost as lost:
                logger.warning("%s; standing by", lost)


async def _run_term(client: ApiClient, options: SchedulerOptions) -> None:
    """From standby to the end of one leadership. The caches are warm before the lease is ours."""
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
    watching = asyncio.create_task(informers.run(), name="scheduler informers")
    try:
        if options.leader_elect:
            await _lead(client, scheduler, options)
        else:
            await scheduler.run()
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await recorder.close()


async def _lead(client: ApiClient, scheduler: Scheduler, options: SchedulerOptions) -> None:
    elector = LeaderElector(
        client,
        options.lease_name,
        options.identity,
        scheduler.run,
        namespace=options.lease_namespace,
        lease_duration=options.election.lease_duration,
        renew_deadline=options.election.renew_deadline,
        retry_period=options.election.retry_period,
    )
    await elector.run()
