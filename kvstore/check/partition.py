"""Splits a history without revisions into parts that share no key: each is judged alone, which is far faster.

Linearizability is local (Herlihy and Wing): a history is linearizable if the history of every object is. Keys that
one request touches together, and keys of one lease, are one object. A history with revisions cannot be split, for
they order the writes of all keys; it does not need to be either.
"""

from __future__ import annotations

from collections.abc import Iterable

from kvstore.check.history import Call, Compact, Delete, Grant, KeepAlive, Put, Range, Result, Revoke, Txn
from kvstore.check.model import in_range


def partition(calls: list[Call]) -> list[list[Call]]:
    if any(map(_has_revision, calls)):
        return [calls]
    keys = {token for call in calls for token in _tokens(call, ())}
    groups = _Groups()
    for call in calls:
        groups.join(_tokens(call, keys))
    parts: dict[str, list[Call]] = {}
    for call in calls:
        parts.setdefault(groups.of(next(iter(_tokens(call, keys)), "")), []).append(call)
    return list(parts.values())


class _Groups:
    """Union-find over names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, name: str) -> str:
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name

    def join(self, names: Iterable[str]) -> None:
        roots = [self.of(name) for name in names]
        for root in roots[1:]:
            self._parent[self.of(root)] = self.of(roots[0])


def _tokens(call: Call, keys: Iterable[str]) -> list[str]:
    """The names of what a call touches: keys, those of `keys` in its ranges, leases."""
    request = call.request
    match request:
        case Txn():
            steps = (*request.success, *request.failure)
            named = ["key " + compare.key for compare in request.compare]
            return named + [token for step in steps for token in _step_tokens(step, keys)]
        case Put() | Range() | Delete():
            return _step_tokens(request, keys)
        case Grant() | Revoke() | KeepAlive():
            return [f"lease {request.lease}"]
        case Compact():
            return []


def _step_tokens(step: Put | Range | Delete, keys: Iterable[str]) -> list[str]:
    found = ["key " + step.key]
    if isinstance(step, Put):
        return [*found, f"lease {step.lease}"] if step.lease else found
    return found + [k for k in keys if k.startswith("key ") and in_range(k[4:], step.key, step.range_end)]


def _has_revision(call: Call) -> bool:
    return call.result is not None and _shows_revision(call.result)


def _shows_revision(result: Result) -> bool:
    kvs = (*(result.kvs or ()), *(result.prev_kvs or ()))
    shown = result.revision is not None or any(kv.mod for kv in kvs)
    return shown or any(map(_shows_revision, result.responses or ()))
