"""One client of keys: reads, compare-and-swaps as a controller does, and a ledger of writes that nobody overwrites.

The same for the store and for objects: `port` is a `recorder.Client` or an `objects.ObjectClient`. Every value is
written once, so it tells who wrote it; every write is on condition of the revision that was read.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from components.drills.measure import LEDGER
from components.drills.recording.objects import Port
from kvstore.check.history import Call, Compare, Put, Range, Txn

KEYS = 6
READS, SWAPS, ENTRIES = 35, 40, 25


class Swaps:
    """`told` is called with each call's record, for the view."""

    def __init__(
        self,
        port: Port,
        number: int,
        prefix: str,
        dice: random.Random,
        pause: float,
        told: Callable[[Call], None],
    ) -> None:
        self._port = port
        self._number = number
        self._prefix = prefix
        self._dice = dice
        self._pause = pause
        self._told = told
        self._known: dict[str, int] = {}
        self._written = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, and the call under way is answered."""
        await self._go_on(stop, (READS, SWAPS, ENTRIES))

    async def read_only(self, stop: asyncio.Event) -> None:
        """As `run`, with reads alone: who writes to a member that is cut off waits, and sees nothing stale."""
        await self._go_on(stop, (1, 0, 0))

    async def _go_on(self, stop: asyncio.Event, weights: tuple[int, int, int]) -> None:
        kinds = [self._read, self._swap, self._enter]
        while not stop.is_set():
            call = await self._dice.choices(kinds, weights)[0]()
            self._told(call)
            await asyncio.sleep(self._dice.expovariate(1 / self._pause))

    def _key(self) -> str:
        return f"{self._prefix}k{self._dice.randrange(KEYS)}"

    def _value(self) -> str:
        self._written += 1
        return f"{self._number}-{self._written}"

    async def _read(self) -> Call:
        return await self._read_of(self._key())

    async def _swap(self) -> Call:
        key = self._key()
        if key not in self._known:
            return await self._read_of(key)
        call = await self._port.call(swap(key, self._known.pop(key), self._value()))
        result = call.result
        if result is not None and result.succeeded:
            self._known[key] = result.revision or 0
        return call

    async def _read_of(self, key: str) -> Call:
        call = await self._port.call(Range(key))
        if call.result is not None and call.result.kvs is not None:
            self._known[key] = next((kv.mod or 0 for kv in call.result.kvs), 0)
        return call

    async def _enter(self) -> Call:
        """A new entry of the ledger."""
        value = self._value()
        return await self._port.call(swap(f"{self._prefix}{LEDGER}{value}", 0, value))


def swap(key: str, revision: int, value: str) -> Txn:
    """Write `value` if the key is still as it was at `revision`; 0: if it is not there."""
    return Txn((Compare(key, "mod", revision),), (Put(key, value),))
