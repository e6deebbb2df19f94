"""A correct store that lies about time: it answers at once, and says each call took a while around that moment.

What it records is linearizable by construction, so the checker has to pass it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from kvstore.check.history import (
    AnyRequest,
    Call,
    Compact,
    Compare,
    Delete,
    Event,
    Grant,
    History,
    KeepAlive,
    KeyValue,
    Put,
    Range,
    Record,
    Result,
    Revoke,
    Txn,
    Watch,
    Watched,
    collect,
)
from kvstore.check.model import Model, Refused
from kvstore.check.watches import expected

KEYS = ("a", "b", "c", "d")


@dataclass
class Simulation:
    """`clients` calls overlap at any time; some are recorded as unknown, half of those without effect."""

    seed: int
    clients: int = 4
    lost: float = 0.1
    model: Model = field(default_factory=Model)
    records: list[Record] = field(default_factory=list)
    revisions: bool = True

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.now = 0
        self.value = 0
        self.leases: list[int] = []
        self._free = [0] * self.clients

    def run(self, calls: int) -> History:
        for _ in range(calls):
            self.step(self.request())
        return collect(self.records)

    def step(self, request: AnyRequest) -> None:
        """The call takes effect at `now`; it was sent after its client's last one returned."""
        self.now += self.rng.randrange(2, 10)
        client = min(range(self.clients), key=lambda c: (self._free[c] >= self.now, self.rng.random()))
        if self._free[client] >= self.now:
            self.now = self._free[client] + 2
        start = self.rng.randrange(self._free[client], self.now)
        end = self.now + self.rng.randrange(1, 40)
        self._free[client] = end + 1
        lost = self.rng.random() < self.lost
        if lost and self.rng.random() < 0.5:
            self.records.append(Call(client, start, request, "unknown"))
            return
        self.records.append(self._answer(client, start, end, request, lost))

    def _answer(self, client: int, start: int, end: int, request: AnyRequest, lost: bool) -> Call:
        try:
            result, effect = self.model.run(request)
        except Refused as refusal:
            if lost:
                return Call(client, start, request, "unknown")
            return Call(client, start, request, "error", end, error=str(refusal))
        self.model.commit(effect)
        if lost:
            return Call(client, start, request, "unknown")
        if isinstance(request, KeepAlive):
            result = Result(ttl=0 if result.ttl == 0 else 1000)
        if not self.revisions:
            result = _without_revisions(result)
        return Call(client, start, request, "ok", end, result=result)

    def request(self) -> AnyRequest:
        key = self.rng.choice(KEYS)
        self.value += 1
        old = self.rng.randrange(1, self.model.revision + 1)
        lease = self.rng.choice(self.leases) if self.leases and self.rng.random() < 0.3 else 0
        kind = self.rng.choices(
            ("put", "get", "range", "old", "delete", "cas", "compact", "grant", "revoke", "keepalive"),
            (30, 20, 10, 4, 8, 16, 1, 3, 2, 3),
        )[0]
        if not self.revisions and kind in ("old", "compact"):
            kind = "put"
        match kind:
            case "put":
                return Put(key, f"v{self.value}", lease)
            case "get":
                return Range(key)
            case "range":
                return Range("b", "d", limit=self.rng.choice((0, 1)), count_only=self.rng.random() < 0.2)
            case "old":
                return Range(key, revision=old)
            case "delete":
                return Delete(key) if self.rng.random() < 0.7 else Delete("b", "d")
            case "cas":
                kv = self.model.get(key)
                compare = Compare(key, "value", kv.value or "") if kv else Compare(key, "version", 0)
                return Txn((compare,), (Put(key, f"v{self.value}"), Range("a", "d")), (Range(key),))
            case "compact":
                return Compact(old)
            case "grant":
                self.leases.append(len(self.leases) + 1)
                return Grant(self.leases[-1], 1000)
            case "revoke":
                return Revoke(self.rng.choice(self.leases) if self.leases else 99)
            case _:
                return KeepAlive(self.rng.choice(self.leases) if self.leases else 99)

    def watch(self, number: int, key: str, end: str = "", *, start: int = 2, prev_kv: bool = True) -> None:
        """Records a watch that saw everything so far, in random batches, interrupted and resumed once."""
        asked = Watch(number, 90 + number, 0, key, end, start, prev_kv)
        events = expected(asked, self.model, start, self.model.revision)
        cut = self.rng.randrange(len(events) + 1)
        while 0 < cut < len(events) and events[cut - 1].revision == events[cut].revision:
            cut += 1
        self.records.append(asked)
        self.records.append(Watched(number, 0, 1, created=True))
        self._deliver(number, events[:cut], prev_kv)
        if cut == len(events):
            return self.records.append(Watched(number, self.now, self.model.revision))
        resumed = Watch(number + 1000, 90, 0, key, end, events[cut].revision, prev_kv, resumes=number)
        self.records.append(resumed)
        return self._deliver(number + 1000, events[cut:], prev_kv)

    def _deliver(self, number: int, events: list[Event], prev_kv: bool) -> None:
        batch: list[Event] = []
        for index, event in enumerate(events):
            batch.append(event if prev_kv else Event(event.type, event.kv))
            following = events[index + 1].revision if index + 1 < len(events) else 0
            if (following != event.revision and self.rng.random() < 0.5) or not following:
                self.records.append(Watched(number, self.now, event.revision, events=tuple(batch)))
                batch = []


def _without_revisions(result: Result) -> Result:
    def plain(kvs: tuple[KeyValue, ...] | None) -> tuple[KeyValue, ...] | None:
        return None if kvs is None else tuple(KeyValue(kv.key, kv.value, version=kv.version) for kv in kvs)

    return Result(
        kvs=plain(result.kvs),
        count=result.count,
        more=result.more,
        deleted=result.deleted,
        prev_kvs=plain(result.prev_kvs),
        succeeded=result.succeeded,
        responses=None if result.responses is None else tuple(map(_without_revisions, result.responses)),
        ttl=result.ttl,
    )
