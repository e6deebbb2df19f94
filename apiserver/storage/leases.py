"""Leases for objects that expire, shared as the original does (`storage/etcd3/lease_manager.go`).

A lease per Event would be as many leases as Events; so one lease serves every object written within a short
time, and lives that much longer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from kvstore.types import LeaseGrantRequest, LeaseGrantResponse

MAX_REUSE_SECONDS = 60.0
REUSE_SHARE = 0.05
MAX_OBJECTS = 1000


@dataclass
class _Lease:
    id: int
    until: float
    objects: int = 0


class Granter(Protocol):
    async def lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse: ...


class LeasePool:
    """One current lease for each time to live."""

    def __init__(self, store: Granter) -> None:
        self._store = store
        self._current: dict[int, _Lease] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    async def lease(self, ttl: int) -> int:
        """The id of a lease that lasts at least `ttl` seconds from now. Raises the store's errors."""
        async with self._locks.setdefault(ttl, asyncio.Lock()):
            now = asyncio.get_running_loop().time()
            current = self._current.get(ttl)
            if current is None or now > current.until or current.objects >= MAX_OBJECTS:
                current = self._current[ttl] = await self._grant(ttl, now)
            current.objects += 1
            return current.id

    async def _grant(self, ttl: int, now: float) -> _Lease:
        reuse = min(MAX_REUSE_SECONDS, ttl * REUSE_SHARE)
        granted = await self._store.lease_grant(LeaseGrantRequest(ttl + int(reuse + 0.999)))
        return _Lease(granted.id, now + reuse)
