"""Small histories of one store, written as a client would have seen them. Times are in milliseconds."""

from __future__ import annotations

from kvstore.check.history import (
    Call,
    Compare,
    Event,
    History,
    KeyValue,
    Put,
    Range,
    Result,
    Txn,
    Watch,
    Watched,
)

MS = 1_000_000
PREFIX = "d-"


def swap(
    start: int, end: int, key: str, before: int, value: str, revision: int | None, client: int = 1
) -> Call:
    """A compare-and-swap that succeeded at `revision`; None: its outcome is unknown."""
    request = Txn((Compare(key, "mod", before),), (Put(key, value),))
    if revision is None:
        return Call(client, start * MS, request, "unknown", end * MS, error="timed out")
    return Call(client, start * MS, request, "ok", end * MS, Result(revision=revision, succeeded=True))


def refused(start: int, end: int, key: str, before: int, value: str, client: int = 1) -> Call:
    request = Txn((Compare(key, "mod", before),), (Put(key, value),))
    return Call(client, start * MS, request, "ok", end * MS, Result(succeeded=False))


def read(start: int, end: int, key: str, value: str | None, mod: int = 0, client: int = 2) -> Call:
    kvs = () if value is None else (KeyValue(key, value, mod=mod),)
    return Call(client, start * MS, Range(key), "ok", end * MS, Result(kvs=kvs))


def everything(start: int, end: int, revision: int, **stored: tuple[str, int]) -> Call:
    """A read of all keys: name without the prefix -> (value, mod revision)."""
    kvs = tuple(KeyValue(PREFIX + key, value, mod=mod) for key, (value, mod) in sorted(stored.items()))
    request = Range(PREFIX, PREFIX[:-1] + ".")
    return Call(900, start * MS, request, "ok", end * MS, Result(revision=revision, kvs=kvs))


def watch(number: int, start: int, revision: int, client: int = 500, resumes: int | None = None) -> Watch:
    return Watch(number, client, start * MS, PREFIX, PREFIX[:-1] + ".", revision, resumes=resumes)


def told(number: int, time: int, key: str, value: str, revision: int) -> Watched:
    event = Event("PUT", KeyValue(key, value, mod=revision))
    return Watched(number, time * MS, revision, events=(event,))


def history(*records: Call | Watch | Watched) -> History:
    return History(
        calls=tuple(sorted((r for r in records if isinstance(r, Call)), key=lambda call: call.call)),
        watches=tuple(r for r in records if isinstance(r, Watch)),
        watched=tuple(r for r in records if isinstance(r, Watched)),
    )
