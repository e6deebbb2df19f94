"""A lease is renewed in time, given back at the end, and told lost when it is."""

from __future__ import annotations

import asyncio

from kvstore.client.lease import LeaseKeeper
from kvstore.errors import NoLeader
from kvstore.types import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
)
from tests.support.virtual_time import run_virtual


class Leases:
    """A store with one lease; `down` and `gone` say what becomes of renewals."""

    def __init__(self) -> None:
        self.renewed: list[float] = []
        self.revoked: list[int] = []
        self.down = self.gone = False

    async def lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse:
        return LeaseGrantResponse(id=7, ttl=request.ttl)

    async def lease_keep_alive(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse:
        if self.down:
            raise NoLeader
        self.renewed.append(asyncio.get_running_loop().time())
        return LeaseKeepAliveResponse(id=request.id, ttl=0 if self.gone else 9)

    async def lease_revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
        self.revoked.append(request.id)
        return LeaseRevokeResponse()


def test_it_is_renewed_three_times_in_its_life_and_given_back() -> None:
    store = Leases()

    async def main() -> None:
        async with LeaseKeeper(store, 9) as lease:
            assert (lease.id, lease.ttl) == (7, 9)
            await asyncio.sleep(10)
            assert not lease.lost.is_set()

    run_virtual(main())
    assert store.renewed == [3, 6, 9]
    assert store.revoked == [7]


def test_it_is_lost_when_it_could_not_be_renewed_in_time() -> None:
    store = Leases()

    async def main() -> float:
        async with LeaseKeeper(store, 9) as lease:
            await asyncio.sleep(4)
            store.down = True
            await lease.lost.wait()
            return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3 + 9
    assert store.revoked == []


def test_a_store_that_is_away_for_less_than_a_life_costs_nothing() -> None:
    store = Leases()

    async def main() -> None:
        async with LeaseKeeper(store, 9) as lease:
            store.down = True
            await asyncio.sleep(7)  # past the renewals at 3 and 6
            store.down = False
            await asyncio.sleep(20)
            assert not lease.lost.is_set()

    run_virtual(main())
    assert store.renewed[0] == 9


def test_it_is_lost_when_the_store_knows_it_no_more() -> None:
    store = Leases()
    store.gone = True

    async def main() -> float:
        async with LeaseKeeper(store, 9) as lease:
            await lease.lost.wait()
            return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3
