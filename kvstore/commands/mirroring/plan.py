"""What the destination is told: keys renamed, operations gathered into transactions in the source's order.

A transaction holds whole revisions of the source, in order, as many as it may hold (etcd's limit) and as long
as no key comes twice, which etcd refuses. So a reader of the destination never sees a part of a revision, and
revisions of the destination are in the order of those of the source. Only a revision with more changes than
a transaction may hold is divided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

MAX_OPERATIONS = 128
"""etcd's default of --max-txn-ops."""
MAX_BYTES = 1 << 20
"""Of a transaction; etcd's default limit of a request is 1.5 MiB."""


class Change(NamedTuple):
    """One change of the source; `value` None is a deletion."""

    revision: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Renaming:
    """Keys that start with `prefix` start with `destination` instead."""

    prefix: bytes = b""
    destination: bytes = b""

    def __call__(self, key: bytes) -> bytes:
        return self.destination + key[len(self.prefix) :]


def range_end(prefix: bytes) -> bytes:
    """The end of the range of all keys with this prefix, as etcd defines it; b"\\0" is "no end"."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else b"\0"


def transactions(changes: Iterable[Change], *, merge: bool = True) -> Iterator[list[Change]]:
    """Groups in order, each of whole revisions where these fit; without `merge`, of one revision each."""
    pending: list[Change] = []
    seen: set[bytes] = set()
    size = 0
    for group in _revisions(changes):
        added = sum(map(_size, group))
        if pending and (
            not merge
            or len(pending) + len(group) > MAX_OPERATIONS
            or size + added > MAX_BYTES
            or any(change.key in seen for change in group)
        ):
            yield pending
            pending, seen, size = [], set(), 0
        if len(group) > MAX_OPERATIONS or added > MAX_BYTES:
            yield from _divided(group)
            continue
        pending += group
        seen.update(change.key for change in group)
        size += added
    if pending:
        yield pending


def _revisions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    for _, group in groupby(changes, key=attrgetter("revision")):
        yield list(group)


def _divided(group: list[Change]) -> Iterator[list[Change]]:
    part: list[Change] = []
    size = 0
    for change in group:
        size += _size(change)
        if part and (len(part) == MAX_OPERATIONS or size > MAX_BYTES):
            yield part
            part, size = [], _size(change)
        part.append(change)
    yield part


def _size(change: Change) -> int:
    return len(change.key) + len(change.value or b"") + 16
