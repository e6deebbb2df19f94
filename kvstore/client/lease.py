"""A lease that is kept alive for as long as its holder wants, or that says that it is lost.

Over `kvstore.client.client`, which finds an endpoint for each renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Protocol, Self

from kvstore.errors import StoreError, Unavailable
from kvstore.types import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
)


class Leases(Protocol):
    """What the keeper needs of a client."""

    async def lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse: ...
    async def lease_keep_alive(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse: ...
    async def lease_revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse: ...


class LeaseKeeper:
    """Granted when entered, renewed three times in its time to live, revoked when left.

    `lost` is set when the lease is gone, or must be taken for gone: its time is over since the last renewal was sent.
    """

    def __init__(self, leases: Leases, ttl: int) -> None:
        self._leases, self._asked = leases, ttl
        self.id = 0
        self.ttl = 0
        self.lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        sent = asyncio.get_running_loop().time()
        granted = await self._leases.lease_grant(LeaseGrantRequest(self._asked))
        self.id, self.ttl = granted.id, granted.ttl
        self._task = asyncio.create_task(self._renew(sent + self.ttl))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self.lost.is_set():
            with contextlib.suppress(StoreError):  # it ends by itself
                await self._leases.lease_revoke(LeaseRevokeRequest(self.id))

    async def _renew(self, until: float) -> None:
        """Ends when the lease is lost; `until` is when it may have ended."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(min(self.ttl / 3, until - loop.time()))
            sent = loop.time()
            try:
                async with asyncio.timeout_at(until):
                    answer = await self._leases.lease_keep_alive(LeaseKeepAliveRequest(self.id))
            except Unavailable:
                continue
            except (TimeoutError, StoreError):
                break
            if not answer.ttl:
                break
            until = sent + answer.ttl
        self.lost.set()
