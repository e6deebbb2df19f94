"""A history of some keys in a store that others write to as well, as if nobody else did (P).

`kvstore.check` judges a store by its revisions: each is one write of the history. In a cluster most revisions
are others' (leases, events, status), so the revisions of the drill's own writes are counted instead: 90, 94, 120
become 2, 3, 4, and an answer at 100 becomes one at 3. Which revisions are the drill's own is what any answer or
event shows. A write that nobody ever saw cannot matter: every write here is a compare-and-swap on what was seen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

import msgspec

from kvstore.check.history import (
    Call,
    Compare,
    Delete,
    Event,
    History,
    KeyValue,
    Put,
    Range,
    Result,
    Start,
    Txn,
    Watch,
    Watched,
)

FIRST = 1
"""The revision of a store without writes."""
STRANGE = -1
"""A revision that no key has here: of a state that was undone by a restore, and is still compared with."""


def condense(history: History, before: Iterable[KeyValue] = ()) -> History:
    """`before`: what was stored when the history began. Revisions count the history's own writes, from FIRST on."""
    stored = tuple(before)
    ranks = Ranks(own_revisions(history) | {kv.mod for kv in stored if kv.mod})
    return History(
        calls=tuple(map(ranks.call, history.calls)),
        watches=tuple(map(ranks.watch, history.watches)),
        watched=tuple(map(ranks.watched, history.watched)),
        start=_start(ranks, stored),
    )


def _start(ranks: Ranks, stored: tuple[KeyValue, ...]) -> Start:
    kvs = tuple(
        msgspec.structs.replace(
            ranks.kv(kv), create=ranks.of(kv.create or kv.mod or 0), version=kv.version or 1
        )
        for kv in stored
    )
    return Start(revision=max((kv.mod or FIRST for kv in kvs), default=FIRST), kvs=kvs)


def own_revisions(history: History) -> set[int]:
    """The revisions that answers and events show to be of this history."""
    found = {kv.mod for call in history.calls if call.result for kv in shown(call.result) if kv.mod}
    found |= {event.revision for told in history.watched for event in told.events}
    found |= {
        call.result.revision for call in history.calls if call.result and call.result.revision and wrote(call)
    }
    return found


def wrote(call: Call) -> bool:
    """True if the answer says that something was written."""
    request, result = call.request, call.result
    if call.outcome != "ok" or result is None:
        return False
    match request:
        case Put():
            return True
        case Delete():
            return bool(result.deleted)
        case Txn():
            steps = request.success if result.succeeded else request.failure
            return any(isinstance(step, Put) for step in steps)
    return False


def shown(result: Result) -> Iterator[KeyValue]:
    yield from result.kvs or ()
    yield from result.prev_kvs or ()
    for response in result.responses or ():
        yield from shown(response)


class Ranks:
    """Revisions by their place among `own`."""

    def __init__(self, own: set[int]) -> None:
        self._own, self._known = sorted(own), own

    def of(self, revision: int) -> int:
        """FIRST and the number of own writes up to this revision; nothing (0) stays nothing."""
        return FIRST + bisect_right(self._own, revision) if revision else 0

    def next(self, revision: int) -> int:
        """The rank of the first own write from this revision on; 0 (from now on) stays 0."""
        return FIRST + bisect_left(self._own, revision) + 1 if revision else 0

    def kv(self, kv: KeyValue) -> KeyValue:
        create = None if kv.create is None else self.of(kv.create)
        return msgspec.structs.replace(kv, create=create, mod=None if kv.mod is None else self.of(kv.mod))

    def result(self, result: Result) -> Result:
        return msgspec.structs.replace(
            result,
            revision=None if result.revision is None else self.of(result.revision),
            kvs=None if result.kvs is None else tuple(map(self.kv, result.kvs)),
            prev_kvs=None if result.prev_kvs is None else tuple(map(self.kv, result.prev_kvs)),
            responses=None if result.responses is None else tuple(map(self.result, result.responses)),
        )

    def call(self, call: Call) -> Call:
        request = call.request
        if isinstance(request, Range) and request.revision:
            request = msgspec.structs.replace(request, revision=self.of(request.revision))
        elif isinstance(request, Txn):
            request = msgspec.structs.replace(request, compare=tuple(map(self.compare, request.compare)))
        answer = None if call.result is None else self.result(call.result)
        return msgspec.structs.replace(call, request=request, result=answer)

    def compare(self, compare: Compare) -> Compare:
        if compare.target not in ("mod", "create") or not isinstance(compare.to, int):
            return compare
        known = not compare.to or compare.to in self._known or compare.result not in ("equal", "not_equal")
        return msgspec.structs.replace(compare, to=self.of(compare.to) if known else STRANGE)

    def watch(self, watch: Watch) -> Watch:
        return msgspec.structs.replace(watch, start_revision=self.next(watch.start_revision))

    def watched(self, told: Watched) -> Watched:
        return msgspec.structs.replace(
            told,
            revision=self.of(told.revision),
            compact_revision=self.of(told.compact_revision),
            events=tuple(map(self.event, told.events)),
        )

    def event(self, event: Event) -> Event:
        previous = None if event.prev_kv is None else self.kv(event.prev_kv)
        return msgspec.structs.replace(event, kv=self.kv(event.kv), prev_kv=previous)
