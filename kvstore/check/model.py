"""What a store of etcd's kind answers: one state, a request in, the expected answer and the effect out.

The search (`kvstore.check.search`) runs requests on it, takes those whose answer is the recorded one, and takes them
back when the way leads nowhere. Nothing here knows of time or clients. Leaves out: authentication, quota, and the
expiry of leases by time (the search treats an expiry as a revocation that somebody may have made).

A revision is one request that changed keys; `log` holds what each revision changed, so the state of every older
revision can be read, too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kvstore.check.history import (
    AnyRequest,
    Compact,
    Compare,
    Delete,
    Grant,
    KeepAlive,
    KeyValue,
    Put,
    Range,
    Result,
    Revoke,
    Start,
    Txn,
)

COMPACTED = "etcdserver: mvcc: required revision has been compacted"
FUTURE = "etcdserver: mvcc: required revision is a future revision"
NO_LEASE = "etcdserver: requested lease not found"
LEASE_EXISTS = "etcdserver: lease already exists"
STATEFUL_ERRORS = frozenset({COMPACTED, FUTURE, NO_LEASE, LEASE_EXISTS})
"""Refusals that say something about the state; any other is only known to have done nothing."""


class Refused(Exception):
    """The request is answered with etcd's error text and changes nothing."""


@dataclass(frozen=True)
class Effect:
    """What a request would do. `changes`: key and its new state (None: deleted), in the order of events."""

    changes: tuple[tuple[str, KeyValue | None], ...] = ()
    granted: int = 0
    revoked: int = 0
    compact: int = 0
    compacted_before: int = 0

    @property
    def is_nothing(self) -> bool:
        return not (self.changes or self.granted or self.revoked or self.compact)


NOTHING = Effect()
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "greater": operator.gt,
    "less": operator.lt,
}


@dataclass
class _Draft:
    """A transaction on its way: what it changed so far is seen by its own later steps."""

    changes: dict[str, KeyValue | None] = field(default_factory=dict)


def in_range(key: str, start: str, end: str) -> bool:
    """etcd's ranges: an empty end means one key, a zero byte every key from `start` on."""
    if not end:
        return key == start
    return key >= start and (end == "\0" or key < end)


class Model:
    def __init__(self, start: Start | None = None) -> None:
        start = start or Start()
        self.revision = start.revision
        self.compacted = start.compacted
        self.leases: set[int] = set(start.leases)
        self.first_revision = start.revision
        self.log: list[tuple[tuple[str, KeyValue | None], ...]] = []
        self._versions: dict[str, list[tuple[int, KeyValue | None]]] = {}
        self._digest = 0
        for kv in start.kvs:
            self._versions[kv.key] = [(start.revision, kv)]

    # Reading.

    def get(self, key: str, revision: int | None = None) -> KeyValue | None:
        """The key as of `revision` (now, if None)."""
        versions = self._versions.get(key)
        if not versions:
            return None
        if revision is None:
            return versions[-1][1]
        return next((kv for mod, kv in reversed(versions) if mod <= revision), None)

    def keys(self, start: str, end: str, revision: int | None = None) -> list[KeyValue]:
        if not end:
            kv = self.get(start, revision)
            return [] if kv is None else [kv]
        found = (self.get(key, revision) for key in sorted(self._versions) if in_range(key, start, end))
        return [kv for kv in found if kv is not None]

    def range_at(self, request: Range, revision: int) -> Result:
        """What a range showed when the store was at `revision`, which the request itself may look behind."""
        kvs = self.keys(request.key, request.range_end, request.revision or revision)
        return msgspec.structs.replace(_shown(request, kvs), revision=revision)

    def changes_at(self, revision: int) -> tuple[tuple[str, KeyValue | None], ...]:
        """What `revision` changed; empty outside `first_revision` < revision <= `self.revision`."""
        index = revision - self.first_revision - 1
        return self.log[index] if 0 <= index < len(self.log) else ()

    def fingerprint(self) -> tuple[int, int, int]:
        """Equal for equal states; different ones are taken for equal once in 2**64."""
        return self.revision, self.compacted, self._digest

    # Running.

    def run(self, request: AnyRequest) -> tuple[Result, Effect]:
        """The expected answer and the effect, which `commit` makes. Raises `Refused`."""
        match request:
            case Put() | Range() | Delete():
                draft = _Draft()
                result = self._step(request, draft)
                return self._finish(result, draft)
            case Txn():
                return self._txn(request)
            case Compact():
                return self._compact(request)
            case Grant():
                if request.lease in self.leases:
                    raise Refused(LEASE_EXISTS)
                return Result(), Effect(granted=request.lease)
            case Revoke():
                return self._revoke(request)
            case KeepAlive():
                return Result(ttl=None if request.lease in self.leases else 0), NOTHING

    def commit(self, effect: Effect) -> None:
        if effect.changes:
            self.revision += 1
            self.log.append(effect.changes)
        for key, kv in effect.changes:
            self._versions.setdefault(key, []).append((self.revision, kv))
        if effect.granted:
            self.leases.add(effect.granted)
        if effect.revoked:
            self.leases.discard(effect.revoked)
        if effect.compact:
            self.compacted = effect.compact
        self._mix(effect)

    def revert(self, effect: Effect) -> None:
        """Takes back the last `commit`."""
        self._mix(effect)
        if effect.compact:
            self.compacted = effect.compacted_before
        if effect.revoked:
            self.leases.add(effect.revoked)
        if effect.granted:
            self.leases.discard(effect.granted)
        for key, _ in effect.changes:
            versions = self._versions[key]
            versions.pop()
            if not versions:
                del self._versions[key]
        if effect.changes:
            self.log.pop()
            self.revision -= 1

    def _mix(self, effect: Effect) -> None:
        """XOR is its own inverse, so a change and its way back are the same step."""
        for key, kv in effect.changes:
            self._digest ^= hash((self.revision, key, kv))
        if effect.granted or effect.revoked:
            self._digest ^= hash(("lease", effect.granted or effect.revoked))

    # Requests.

    def _finish(self, result: Result, draft: _Draft) -> tuple[Result, Effect]:
        changes = tuple(draft.changes.items())
        revision = self.revision + 1 if changes else self.revision
        expected = msgspec.structs.replace(result, revision=revision)
        return expected, Effect(changes) if changes else NOTHING

    def _step(self, request: Put | Range | Delete, draft: _Draft) -> Result:
        if isinstance(request, Put):
            return self._put(request, draft)
        if isinstance(request, Range):
            return self._range(request, draft)
        gone = self._seen(request.key, request.range_end, draft)
        for kv in gone:
            draft.changes[kv.key] = None
        return Result(deleted=len(gone), prev_kvs=tuple(gone))

    def _seen(self, start: str, end: str, draft: _Draft) -> list[KeyValue]:
        if not draft.changes:
            return self.keys(start, end)
        kvs = {kv.key: kv for kv in self.keys(start, end)}
        for key, kv in draft.changes.items():
            if in_range(key, start, end):
                kvs.pop(key, None)
                if kv is not None:
                    kvs[key] = kv
        return [kvs[key] for key in sorted(kvs)]

    def _put(self, request: Put, draft: _Draft) -> Result:
        if request.lease and request.lease not in self.leases:
            raise Refused(NO_LEASE)
        before = self._seen(request.key, "", draft)
        revision = self.revision + 1
        old = before[0] if before else None
        draft.changes[request.key] = KeyValue(
            key=request.key,
            value=request.value,
            create=old.create if old else revision,
            mod=revision,
            version=(old.version or 0) + 1 if old else 1,
            lease=request.lease,
        )
        return Result(prev_kvs=tuple(before))

    def _range(self, request: Range, draft: _Draft) -> Result:
        if request.revision > self.revision:
            raise Refused(FUTURE)
        if 0 < request.revision < self.compacted:
            raise Refused(COMPACTED)
        if request.revision:
            kvs = self.keys(request.key, request.range_end, request.revision)
        else:
            kvs = self._seen(request.key, request.range_end, draft)
        return _shown(request, kvs)

    def _txn(self, request: Txn) -> tuple[Result, Effect]:
        succeeded = all(self._holds(compare) for compare in request.compare)
        draft = _Draft()
        steps = request.success if succeeded else request.failure
        responses = tuple(self._step(step, draft) for step in steps)
        return self._finish(Result(succeeded=succeeded, responses=responses), draft)

    def _holds(self, compare: Compare) -> bool:
        kv = self.get(compare.key)
        if kv is None and compare.target == "value":
            return False
        actual: Any = getattr(kv, compare.target) if kv is not None else 0
        return _COMPARISONS[compare.result](actual, compare.to)

    def _compact(self, request: Compact) -> tuple[Result, Effect]:
        if request.revision <= self.compacted:
            raise Refused(COMPACTED)
        if request.revision > self.revision:
            raise Refused(FUTURE)
        return Result(), Effect(compact=request.revision, compacted_before=self.compacted)

    def _revoke(self, request: Revoke) -> tuple[Result, Effect]:
        if request.lease not in self.leases:
            raise Refused(NO_LEASE)
        gone = sorted(k for k in self._versions if (kv := self.get(k)) and kv.lease == request.lease)
        return Result(), Effect(changes=tuple((key, None) for key in gone), revoked=request.lease)


def _shown(request: Range, kvs: list[KeyValue]) -> Result:
    shown = kvs[: request.limit] if request.limit else kvs
    more = not request.count_only and len(shown) < len(kvs)
    return Result(kvs=() if request.count_only else tuple(shown), count=len(kvs), more=more)
