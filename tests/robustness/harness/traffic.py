"""What clients ask for: a few keys, so that they meet; every value is written once, so that it tells who wrote it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from components.drills.recording.recorder import Client, Recorder
from kvstore.check.history import (
    Compact,
    Compare,
    Delete,
    Grant,
    KeepAlive,
    KeyValue,
    Put,
    Range,
    Revoke,
    Txn,
)

KEYS = tuple(f"k{number}" for number in range(8))
ALL = ("k", "l")
"""A range that holds all keys."""
LONG_TTL, SHORT_TTL = 60, 2


class Traffic:
    """One client's requests until `stop` is set."""

    def __init__(self, client: Client, recorder: Recorder, rng: random.Random, pause: float) -> None:
        self._client = client
        self._recorder = recorder
        self._rng = rng
        self._pause = pause
        self._written = 0
        self._leases: list[int] = []
        self._known: dict[str, KeyValue | None] = {}
        self._kinds: dict[Callable[[], Awaitable[object]], int] = {
            self._put: 30,
            self._get: 16,
            self._list: 8,
            self._stale: 6,
            self._old: 3,
            self._delete: 5,
            self._delete_some: 1,
            self._swap: 16,
            self._both: 5,
            self._grant: 3,
            self._leased: 4,
            self._keep: 3,
            self._revoke: 2,
        }

    async def run(self, stop: asyncio.Event) -> None:
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while not stop.is_set():
            await self._rng.choices(kinds, weights)[0]()
            await asyncio.sleep(self._rng.expovariate(1 / self._pause))

    def _key(self) -> str:
        return self._rng.choice(KEYS)

    def _value(self) -> str:
        self._written += 1
        return f"{self._client.number}-{self._written}"

    async def _put(self) -> None:
        await self._client.call(Put(self._key(), self._value()))

    async def _get(self) -> None:
        key = self._key()
        answer = await self._client.call(Range(key))
        if answer.result is not None and answer.result.kvs is not None:
            self._known[key] = answer.result.kvs[0] if answer.result.kvs else None

    async def _list(self) -> None:
        limit = self._rng.choice((0, 0, 3))
        await self._client.call(Range(*ALL, limit=limit, count_only=self._rng.random() < 0.1))

    async def _stale(self) -> None:
        await self._client.call(Range(*ALL, serializable=True))

    async def _old(self) -> None:
        revision = max(1, self._recorder.revision - self._rng.randrange(200))
        await self._client.call(Range(self._key(), revision=revision))

    async def _delete(self) -> None:
        await self._client.call(Delete(self._key()))

    async def _delete_some(self) -> None:
        await self._client.call(Delete("k2", "k5"))

    async def _swap(self) -> None:
        """Compare-and-swap on what was read last, as the API server does it."""
        key = self._rng.choice(list(self._known) or KEYS)
        old = self._known.get(key)
        compare = Compare(key, "mod", (old.mod if old else 0) or 0)
        step = Delete(key) if old and self._rng.random() < 0.2 else Put(key, self._value())
        answer = await self._client.call(Txn((compare,), (step, Range(key)), (Range(key),)))
        if answer.result is not None and answer.result.responses:
            kvs = answer.result.responses[-1].kvs
            self._known[key] = kvs[0] if kvs else None

    async def _both(self) -> None:
        """Two keys at one revision."""
        first, second = self._rng.sample(KEYS, 2)
        steps = (Put(first, self._value()), Put(second, self._value()))
        compare = Compare(first, "version", self._rng.randrange(4), "greater")
        await self._client.call(Txn((compare,), steps, (Put(first, self._value()), Delete(second))))

    async def _grant(self) -> None:
        lease = self._client.number * 100_000 + self._written + 1
        self._written += 1
        ttl = self._rng.choice((LONG_TTL, SHORT_TTL))
        if (await self._client.call(Grant(lease, ttl))).outcome == "ok":
            self._leases.append(lease)

    async def _leased(self) -> None:
        if self._leases:
            await self._client.call(Put(self._key(), self._value(), self._rng.choice(self._leases)))

    async def _keep(self) -> None:
        if self._leases:
            await self._client.call(KeepAlive(self._rng.choice(self._leases)))

    async def _revoke(self) -> None:
        if self._leases and self._rng.random() < 0.5:
            await self._client.call(Revoke(self._leases.pop(self._rng.randrange(len(self._leases)))))


async def compact(client: Client, revision: int) -> None:
    await client.call(Compact(revision))
