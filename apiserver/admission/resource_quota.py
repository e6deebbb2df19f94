"""ResourceQuota: refuses a write that exceeds a quota of its namespace, and charges the others before they are stored.

The last plugin to validate. `quota_checks` decides; this file finds the quotas and stores their new usage by
compare-and-swap, so that any number of API servers charge one quota exactly. Writes of one namespace that wait at
the same time are decided together and cost one update of each quota. Source: ``quotaEvaluator`` of the original.

A write that is refused or fails after it was charged stays charged until the quota controller counts again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from apiserver.admission.interface import Attributes, Plugin, Reader, Writer
from apiserver.admission.quota_checks import Ledger, charge, handles
from apiserver.api import errors, meta
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.api.quota import amounts, evaluator_of

RESOURCE_QUOTAS: Final = GroupVersionResource("", "v1", "resourcequotas")
_IGNORED: Final = frozenset({GroupResource("", "events"), GroupResource("events.k8s.io", "events")})
_ATTEMPTS: Final = 16  # of which each lost one means that another server charged the quota meanwhile
_SECONDS: Final = 10.0
_REMEMBERED: Final = 1024


class _Waiter:
    """One write that waits to be told whether it fits."""

    def __init__(self, write: Attributes) -> None:
        self.write = write
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def allow(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class ResourceQuota(Plugin):
    """`now` is the time that overdue pods are told by."""

    name = "ResourceQuota"

    def __init__(self, writer: Writer, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._now = now
        self._waiting: dict[str, list[_Waiter]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._latest: OrderedDict[str, Object] = (
            OrderedDict()
        )  # what this server last saw stored, by namespace/name

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        namespace, resource = attributes.namespace, attributes.group_resource
        if not namespace or resource in _IGNORED or attributes.gvk.kind == "Namespace":
            return
        if not handles(evaluator_of(resource), attributes) or not await reader.list(
            RESOURCE_QUOTAS, namespace
        ):
            return
        waiter = _Waiter(attributes)
        self._waiting.setdefault(namespace, []).append(waiter)
        if namespace not in self._tasks:
            self._tasks[namespace] = asyncio.create_task(
                self._work(namespace, reader), name=f"quota of {namespace}"
            )
        try:
            async with asyncio.timeout(_SECONDS):
                await waiter.answer
        except TimeoutError:
            raise errors.internal("resource quota evaluation timed out") from None

    async def _work(self, namespace: str, reader: Reader) -> None:
        """Until nobody waits any more. What waits while one round writes is decided in the next."""
        try:
            while waiters := self._waiting.pop(namespace, []):
                await self._round(namespace, reader, waiters)
        finally:
            del self._tasks[namespace]

    async def _round(self, namespace: str, reader: Reader, waiters: list[_Waiter]) -> None:
        try:
            quotas = [self._newest(quota) for quota in await reader.list(RESOURCE_QUOTAS, namespace)]
            await self._settle([Ledger.of(quota) for quota in quotas], waiters)
        except Exception as error:
            for waiter in waiters:
                waiter.refuse(error)

    async def _settle(self, ledgers: list[Ledger], waiters: list[_Waiter]) -> None:
        """A quota that another server changed meanwhile is read again, and only it: the others are charged."""
        for _ in range(_ATTEMPTS):
            after, waiters = self._decide(ledgers, waiters)
            changed = [new for old, new in zip(ledgers, after, strict=True) if new.used != old.used]
            ledgers = [lost for ledger in changed if (lost := await self._store(ledger)) is not None]
            if not ledgers:
                break
        for waiter in waiters:
            if ledgers:
                resource = RESOURCE_QUOTAS.group_resource
                waiter.refuse(errors.conflict(resource, ledgers[0].name, errors.MODIFIED))
            else:
                waiter.allow()

    def _decide(
        self, ledgers: Sequence[Ledger], waiters: Sequence[_Waiter]
    ) -> tuple[list[Ledger], list[_Waiter]]:
        """The ledgers after those that fit, and who of them must wait until the ledgers are stored."""
        running, now, charged = list(ledgers), self._now(), []
        for waiter in waiters:
            write = waiter.write
            if waiter.answer.done():
                continue
            try:
                after = charge(running, write, evaluator_of(write.group_resource), now)
            except StatusError as refusal:
                waiter.refuse(refusal)
                continue
            if write.dry_run or all(new.used == old.used for new, old in zip(after, running, strict=True)):
                waiter.allow()
                continue
            running = after
            charged.append(waiter)
        return running, charged

    async def _store(self, ledger: Ledger) -> Ledger | None:
        """None once it is stored, or if the quota is gone; else what is stored in its place."""
        status = {**(ledger.quota.get("status") or {}), "used": amounts.write(ledger.used)}
        stored, current = await self._writer.swap(RESOURCE_QUOTAS, {**ledger.quota, "status": status})
        if current is not None:
            self._remember(current)
        return None if stored or current is None else Ledger.of(current)

    def _remember(self, quota: Object) -> None:
        key = meta.object_key(quota)
        self._latest[key] = quota
        self._latest.move_to_end(key)
        while len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)

    def _newest(self, quota: Object) -> Object:
        """The watch cache may be behind what this server has stored itself."""
        known = self._latest.get(meta.object_key(quota))
        if known is None or meta.uid(known) != meta.uid(quota):
            return quota
        newer = int(meta.resource_version(known)) > int(meta.resource_version(quota))
        return known if newer else quota
