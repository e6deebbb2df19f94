"""Follows one remote APIService: can it be reached? Writes the answer into its status, and looks again now and then.

Woken by the controller when the APIService, its Service or its EndpointSlices change; asks the server itself every half
minute, and sooner while it fails. Every API server does this, as in the original: each asks over its own network.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from apiserver.aggregator.availability import PASSED, Condition, failed_discovery, obstacle
from apiserver.aggregator.service import ApiService
from apiserver.aggregator.upstream import Unreachable, Upstream
from apiserver.storage.interface import StorageError

log = logging.getLogger(__name__)
Write = Callable[[str, Condition], Awaitable[None]]
"""(name of the APIService, condition): into its status, unless that says so already. Raises StorageError."""
_HEALTHY_SECONDS: Final = 30.0
_FIRST_RETRY: Final = 0.25
_MORE_ATTEMPTS: Final = 4  # the original asks five times at once: endpoints are chosen at random


class Monitor:
    def __init__(self, item: ApiService, upstream: Upstream, write: Write) -> None:
        self.item = item
        self._upstream = upstream
        self._write = write
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"availability of {item.name}")

    def look(self, item: ApiService) -> None:
        """``item``: what is stored now."""
        self.item = item
        self._wake.set()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        delay = _FIRST_RETRY
        while True:
            self._wake.clear()
            healthy = False
            try:
                healthy = await self._step()
            except (StorageError, TimeoutError) as exc:
                log.info("the status of %s cannot be kept: %s", self.item.name, exc)
            except Exception:
                log.exception("the status of %s cannot be kept", self.item.name)
            delay = _FIRST_RETRY if healthy else min(2 * delay, _HEALTHY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEALTHY_SECONDS if healthy else delay):
                    await self._wake.wait()
                    delay = _FIRST_RETRY

    async def _step(self) -> bool:
        """Whether all is well."""
        item = self.item
        condition = await self._condition(item)
        if item.target == self.item.target:
            await self._write(item.name, condition)
        return condition == PASSED

    async def _condition(self, item: ApiService) -> Condition:
        assert item.service is not None
        service = await self._upstream.service(item.service)
        slices = await self._upstream.slices(item.service)
        found = obstacle(item.service, service, slices)
        if found is not None:
            return found
        failure = await self._ask(item)
        if failure:
            failures = await asyncio.gather(*(self._ask(item) for _ in range(_MORE_ATTEMPTS)))
            failure = failures[-1] if all(failures) else ""
        return failed_discovery(failure) if failure else PASSED

    async def _ask(self, item: ApiService) -> str:
        """What is wrong, empty if nothing. Who owns the network may lie here, as in the original: nothing is sent."""
        assert item.service is not None
        try:
            answer = await self._upstream.get(item, item.path, verify=False)
        except Unreachable as exc:
            return f"failing or missing response from {exc.url}: {exc}" if exc.url else str(exc)
        if 200 <= answer.status < 300:
            return ""
        bad = f"bad status from {answer.url}: {answer.status}"
        return f"failing or missing response from {answer.url}: {bad}"
