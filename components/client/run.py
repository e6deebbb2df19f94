"""The standard controller loop: workers that take keys from a queue and reconcile them.

Stands between a `WorkQueue` and a controller's `sync`. What `sync` raises is logged and the key comes
again after its backoff; cancelling `run_workers` ends all workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from components.client.activity import CURRENT, observed
from components.client.errors import ApiError
from components.client.workqueue import ShutDown, WorkQueue

logger = logging.getLogger(__name__)

Sync = Callable[[str], Awaitable[None]]


async def run_workers(queue: WorkQueue, sync: Sync, workers: int, name: str) -> None:
    """Reconcile keys with `workers` concurrent workers until cancelled or the queue is shut down."""
    activity = CURRENT.get()
    try:
        with activity.running(name, queue) if activity is not None else nullcontext():
            async with asyncio.TaskGroup() as group:
                for number in range(workers):
                    group.create_task(_work(queue, sync, name), name=f"{name} worker {number}")
    finally:
        queue.shut_down()


async def _work(queue: WorkQueue, sync: Sync, name: str) -> None:
    while True:
        try:
            key = await queue.get()
        except ShutDown:
            return
        try:
            await _sync_one(queue, sync, name, key)
        finally:
            queue.done(key)


async def _sync_one(queue: WorkQueue, sync: Sync, name: str, key: str) -> None:
    try:
        with observed(name, key, lambda: queue.num_requeues(key)):
            await sync(key)
    except ApiError as error:
        # Conflicts and a server that is away are part of normal life.
        logger.info("%s: %s will be tried again: %s", name, key, error)
        queue.add_rate_limited(key)
    except Exception:
        logger.exception("%s: %s failed and will be tried again", name, key)
        queue.add_rate_limited(key)
    else:
        queue.forget(key)
