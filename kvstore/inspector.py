"""Compares this member's data with the others', now and then: the shell around `kvstore.corruption`.

One task of `kvstore.member.Member`. It hashes when a check is in the log, whoever asked for it; on the leader it
also asks for checks and raises CORRUPT for whom they convict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Protocol

from kvstore.command import Command, Request, encode
from kvstore.errors import DataCorrupt, Stopped, StoreError, Unavailable
from kvstore.statemachine import KVStateMachine
from kvstore.types import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmType,
    HashCheckRequest,
    HashReportRequest,
)

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class Inspected(Protocol):
    """The part of `kvstore.member.Member` that the inspector needs."""

    @property
    def id(self) -> int: ...

    @property
    def is_leader(self) -> bool: ...

    def inspected(self) -> KVStateMachine:
        """Raises `Stopped`."""

    def voters(self) -> Collection[int]: ...

    async def propose(self, command: bytes) -> object: ...


class Inspector:
    """`interval`: seconds between checks that this member asks for while it leads; 0 is never."""

    def __init__(self, member: Inspected, interval: float) -> None:
        self._member = member
        self._interval = interval

    async def run(self) -> None:
        """Until the member stops."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if self._interval and loop.time() - asked_at >= self._interval:
                    asked_at = loop.time()
                    if self._member.is_leader:
                        await self._propose(HashCheckRequest())
                await self._report()
                if self._member.is_leader:
                    await self._accuse()
            except Stopped:
                return
            except StoreError as error:
                log.info("the members' data will be compared another time: %s", error)

    async def check(self, timeout: float) -> None:
        """Before this member serves: compare it with the others, as far as they can be reached in `timeout`
        seconds. Raises `DataCorrupt` if it is this one that is wrong."""
        try:
            await self._propose(HashCheckRequest())
        except Unavailable as error:
            log.warning("the members' data was not compared: %s", error)
            return
        point = self._member.inspected().comparison.point
        deadline = asyncio.get_running_loop().time() + timeout
        while not self._is_accused() and asyncio.get_running_loop().time() < deadline:
            comparison = self._member.inspected().comparison
            if comparison.point is None or comparison.is_settled(self._member.voters()):
                break
            await asyncio.sleep(0.05)  # reports come through the log, at every member's own pace
        if self._is_accused():
            revision = point.revision if point else 0
            raise DataCorrupt(
                f"this member's data at revision {revision} is not what the majority of members has: move its"
                " data directory away and let it rejoin with nothing (kvstore replace)"
            )

    def _is_accused(self) -> bool:
        state, member = self._member.inspected(), self._member
        accused = AlarmMember(member.id, AlarmType.CORRUPT) in state.alarms().alarms
        return accused or member.id in state.comparison.odd_ones(member.voters())

    async def _report(self) -> None:
        due = self._member.inspected().hash_due()
        if due is None:
            return
        index, run = due
        hash_ = await asyncio.to_thread(run)
        await self._propose(HashReportRequest(self._member.id, index, hash_))

    async def _accuse(self) -> None:
        odd_ones = self._member.inspected().comparison.odd_ones(self._member.voters())
        for member in sorted(odd_ones):
            log.critical("member %x holds other data than the majority: no more writes", member)
            await self._propose(AlarmRequest(AlarmAction.ACTIVATE, member, AlarmType.CORRUPT))

    async def _propose(self, request: Request) -> None:
        result = await self._member.propose(encode(Command(request)))
        if isinstance(result, StoreError):
            raise result
