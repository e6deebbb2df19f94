"""Runs auto-compaction on a member; when and how far is `compaction`'s decision."""

from __future__ import annotations

import asyncio
import logging

from kvstore.errors import Compacted, StoreError
from kvstore.member import Member
from kvstore.server.compaction import Retention, compactor
from kvstore.types import CompactionRequest

log = logging.getLogger(__name__)


async def run(member: Member, retention: Retention) -> None:
    """Until cancelled. Every member keeps the window of revisions; only the leader compacts."""
    loop = asyncio.get_running_loop()
    plan = compactor(retention, loop.time(), member.revision())
    while True:
        await asyncio.sleep(plan.interval)
        revision = plan.due(loop.time(), member.revision(), member.is_leader)
        if revision is None:
            continue
        try:
            await member.compact(CompactionRequest(revision))
        except Compacted:
            log.info("auto compaction: revision %d is compacted already", revision)
        except StoreError as error:
            log.warning("auto compaction to revision %d failed, it will be tried again: %s", revision, error)
            continue
        else:
            log.info("auto compaction (%s) to revision %d", retention.mode, revision)
        plan.done(loop.time(), revision)
