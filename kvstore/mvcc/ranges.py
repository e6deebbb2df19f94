"""The options of a range: which keys it names, and filters, sorting and limit, in etcd's order.

Used by `kvstore.mvcc.store` on what it found. Source: etcd `server/etcdserver/txn/range.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvstore.types import KeyValue, RangeRequest, SortOrder, SortTarget

FROM_KEY = b"\0"
"""As `range_end`: every key from `key` on."""

_SORT_KEYS: dict[SortTarget, Callable[[KeyValue], Any]] = {
    SortTarget.KEY: lambda kv: kv.key,
    SortTarget.VERSION: lambda kv: kv.version,
    SortTarget.CREATE: lambda kv: kv.create_revision,
    SortTarget.MOD: lambda kv: kv.mod_revision,
    SortTarget.VALUE: lambda kv: kv.value,
}


def bounds(key: bytes, range_end: bytes) -> tuple[bytes, bytes]:
    """[start, end) of a request's `key` and `range_end`; end b"" is no bound. The range may be empty."""
    if not range_end:
        return key, key + b"\0"
    return key, b"" if range_end == FROM_KEY else range_end


def contains(start: bytes, end: bytes, key: bytes) -> bool:
    """Whether [start, end) of `bounds` holds the key."""
    return start <= key and (not end or key < end)


def needs_all(r: RangeRequest) -> bool:
    """Whether the limit can only be applied to the whole result."""
    return bool(
        r.sort_order
        or r.sort_target
        or r.min_mod_revision
        or r.max_mod_revision
        or r.min_create_revision
        or r.max_create_revision
    )


def finish(r: RangeRequest, kvs: list[KeyValue]) -> tuple[list[KeyValue], bool]:
    """Filter, sort, cut to the limit, drop values: (result, whether the limit cut some off)."""
    if needs_all(r):
        kvs = _sorted(r, [kv for kv in kvs if _passes(r, kv)])
    more = 0 < r.limit < len(kvs)
    if more:
        kvs = kvs[: r.limit]
    if r.keys_only:
        kvs = [KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease) for kv in kvs]
    return kvs, more


def _passes(r: RangeRequest, kv: KeyValue) -> bool:
    return (
        kv.mod_revision >= r.min_mod_revision
        and kv.create_revision >= r.min_create_revision
        and (not r.max_mod_revision or kv.mod_revision <= r.max_mod_revision)
        and (not r.max_create_revision or kv.create_revision <= r.max_create_revision)
    )


def _sorted(r: RangeRequest, kvs: list[KeyValue]) -> list[KeyValue]:
    """A target other than the key sorts ascending even when no order is given; ties keep key order."""
    if r.sort_order == SortOrder.NONE and r.sort_target == SortTarget.KEY:
        return kvs
    return sorted(kvs, key=_SORT_KEYS[r.sort_target], reverse=r.sort_order == SortOrder.DESCEND)
