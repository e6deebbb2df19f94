"""Leader election on a Lease object, so that of several replicas one works at a time.

Used by scheduler and controller manager. The rules are in `electionrecord`; this shell keeps time. As
client-go's leaderelection.go with ReleaseOnCancel.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.electionrecord import LeaseTerms, Observation, new_lease, released, taken
from components.client.errors import ApiError
from components.client.resources import LEASES

logger = logging.getLogger(__name__)

_JITTER = 1.2
_RELEASE_TIMEOUT = 2.0


class LeaseClient(Protocol):
    """What of `ApiClient` an election needs."""

    async def get(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object: ...

    async def create(
        self,
        gvr: GroupVersionResource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object: ...

    async def update(
        self, gvr: GroupVersionResource, obj: Object, *, subresource: str | None = None
    ) -> Object: ...


class LeadershipLost(Exception):
    """The lease could not be renewed in time; another replica may lead from now on."""


class ElectionConfigError(ValueError):
    """The three durations do not fit together."""


@dataclass(frozen=True)
class ElectionTimes:
    """Seconds, as the flags --leader-elect-lease-duration, -renew-deadline and -retry-period."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if self.lease_duration <= self.renew_deadline:
            raise ElectionConfigError("leaseDuration must be greater than renewDeadline")
        if self.renew_deadline <= self.retry_period * _JITTER:
            raise ElectionConfigError("renewDeadline must be greater than retryPeriod*JitterFactor")


class LeaderElector:
    """`run` waits for the lease, then runs `on_started` as long as it is held.

    Losing the lease cancels `on_started` (and waits for its end) before `run` raises LeadershipLost.
    When `run` is cancelled or `on_started` ends, the lease is released, so that the next replica takes
    over at its next attempt. `on_new_leader` hears of every holder seen.
    """

    def __init__(
        self,
        client: LeaseClient,
        name: str,
        identity: str,
        on_started: Callable[[], Awaitable[None]],
        *,
        namespace: str = "kube-system",
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        on_new_leader: Callable[[str], None] | None = None,
        now: Callable[[], datetime] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._times = ElectionTimes(lease_duration, renew_deadline, retry_period)
        self._terms = LeaseTerms(namespace, name, identity, lease_duration)
        self._on_started = on_started
        self._on_new_leader = on_new_leader
        self._now = now or (lambda: datetime.now(UTC))
        self._rng = rng or random.Random()
        self._observed = Observation()
        self._reported = ""

    @property
    def leader(self) -> str:
        """The identity last seen holding the lease; empty if none."""
        return self._observed.holder

    @property
    def is_leader(self) -> bool:
        return self._observed.holder == self._terms.identity

    async def run(self) -> None:
        """One term: acquire, lead, release. Raises LeadershipLost."""
        await self._acquire()
        leading = asyncio.ensure_future(self._on_started())
        renewing = asyncio.create_task(self._renew(), name=f"renew {self._terms.name}")
        try:
            await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost = renewing.done() and not renewing.cancelled()
            await _cancelled(leading)
            await _cancelled(renewing)
            if not lost:
                await self._release()
        if lost:
            raise LeadershipLost(f"lease {self._terms.namespace}/{self._terms.name} was not renewed in time")
        leading.result()

    async def _acquire(self) -> None:
        logger.info("attempting to acquire lease %s/%s", self._terms.namespace, self._terms.name)
        while not await self._attempt():
            self._report()
            await asyncio.sleep(self._times.retry_period * (1 + self._rng.random() * _JITTER))
        self._report()
        logger.info("acquired lease %s/%s", self._terms.namespace, self._terms.name)

    async def _renew(self) -> None:
        """Returns when the lease was not renewed within the deadline."""
        while True:
            await asyncio.sleep(self._times.retry_period)
            try:
                async with asyncio.timeout(self._times.renew_deadline):
                    while not await self._attempt():
                        self._report()
                        if self._observed.held_by_other(self._terms.identity, _clock()):
                            return
                        await asyncio.sleep(self._times.retry_period)
            except TimeoutError:
                return

    async def _attempt(self) -> bool:
        """Try once to take or renew the lease; never raises for what the server answers."""
        try:
            return await self._take_or_renew()
        except ApiError as error:
            logger.info("lease %s/%s: %s", self._terms.namespace, self._terms.name, error)
            return False

    async def _take_or_renew(self) -> bool:
        if self.is_leader and self._observed.valid(_clock()) and await self._renew_known():
            return True
        try:
            lease = await self._client.get(LEASES, self._terms.name, self._terms.namespace)
        except ApiError as error:
            if not error.is_not_found:
                raise
            self._wrote(await self._client.create(LEASES, new_lease(self._terms, self._now())))
            return True
        self._observed.read(lease, _clock())
        if self._observed.held_by_other(self._terms.identity, _clock()):
            return False
        self._wrote(await self._client.update(LEASES, taken(lease, self._terms, self._now())))
        return True

    async def _renew_known(self) -> bool:
        """Update the lease as we last wrote it, without reading it first."""
        known = self._observed.lease or {}
        try:
            self._wrote(await self._client.update(LEASES, taken(known, self._terms, self._now())))
        except ApiError as error:
            logger.info("lease %s could not be renewed at once: %s", self._terms.name, error)
            return False
        return True

    def _wrote(self, lease: Object) -> None:
        self._observed.wrote(lease, _clock())

    def _report(self) -> None:
        if self._on_new_leader is not None and self._reported != self._observed.holder:
            self._on_new_leader(self._observed.holder)
        self._reported = self._observed.holder

    async def _release(self) -> None:
        if not self.is_leader or self._observed.lease is None:
            return
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await self._give_up(self._observed.lease)
        except (ApiError, TimeoutError) as error:
            logger.info("lease %s was not released and has to expire: %s", self._terms.name, error)

    async def _give_up(self, lease: Object) -> None:
        """A renewal whose answer was not waited for may have been written after ``lease``."""
        try:
            await self._client.update(LEASES, released(lease, self._now()))
        except ApiError as error:
            if not error.is_conflict:
                raise
            newer = await self._client.get(LEASES, self._terms.name, self._terms.namespace)
            if newer["spec"].get("holderIdentity") == self._terms.identity:
                await self._client.update(LEASES, released(newer, self._now()))


def _clock() -> float:
    return asyncio.get_running_loop().time()


async def _cancelled(task: asyncio.Future[None]) -> None:
    """Cancel `task` and wait for its end; its outcome is read elsewhere."""
    task.cancel()
    await asyncio.wait({task})
