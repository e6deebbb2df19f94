"""A master that is about to end gives the store's leadership away first: no election, hardly a pause for writers."""

from __future__ import annotations

import asyncio
import logging

from kvstore.errors import StoreError
from kvstore.member import Member

logger = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for one other member to take over


async def hand_over(member: Member) -> bool:
    """To the first other member that takes it; False when none does, or none is needed."""
    for other in member.member_list():
        if not member.is_leader:
            return False
        if other.id == member.id:
            continue
        try:
            async with asyncio.timeout(PATIENCE):
                await member.move_leader(other.id)
        except (StoreError, TimeoutError) as error:
            logger.info("%s does not take the leadership: %s", other.name, error or type(error).__name__)
        else:
            return True
    return False
