"""What was recorded: calls with their answers, and what watches delivered; one JSON object a line.

Recorders (`tests/robustness`, or anyone's own) write it, `kvstore.check.verdict` judges it. Keys and values are
strings in which every character stands for one byte (Latin-1). Times are nanoseconds of one clock that never goes
back. What was not recorded is left out and not checked; `docs/robustness.md` describes every field.

    {"type": "start", "revision": 1, "kvs": []}                          what was stored before (optional)
    {"type": "call", "client": 1, "call": 10, "return": 20, "outcome": "ok",
     "request": {"op": "put", "key": "a", "value": "1"}, "result": {"revision": 2}}
    {"type": "watch", "watch": 1, "client": 9, "time": 5, "key": "a", "start_revision": 2}
    {"type": "watched", "watch": 1, "time": 25, "revision": 2, "events": [{"type": "PUT", "kv": {...}}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec


class HistoryError(Exception):
    """A line is not what the format says; the message names the line."""


class KeyValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """`None` stands for what was not recorded."""

    key: str
    value: str | None = None
    create: int | None = None
    mod: int | None = None
    version: int | None = None
    lease: int | None = None


class Request(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op"):
    """One of the classes below; `op` names it."""


class Put(Request, frozen=True, omit_defaults=True, tag="put"):
    key: str
    value: str
    lease: int = 0


class Range(Request, frozen=True, omit_defaults=True, tag="range"):
    """`range_end` as in etcd: empty for one key, a zero byte for every key from `key` on."""

    key: str
    range_end: str = ""
    revision: int = 0
    limit: int = 0
    count_only: bool = False
    serializable: bool = False


class Delete(Request, frozen=True, omit_defaults=True, tag="delete"):
    key: str
    range_end: str = ""


class Compare(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str
    target: Literal["version", "create", "mod", "value", "lease"]
    to: int | str
    result: Literal["equal", "greater", "less", "not_equal"] = "equal"


class Txn(Request, frozen=True, omit_defaults=True, tag="txn"):
    compare: tuple[Compare, ...] = ()
    success: tuple[Put | Range | Delete, ...] = ()
    failure: tuple[Put | Range | Delete, ...] = ()


class Compact(Request, frozen=True, omit_defaults=True, tag="compact"):
    revision: int


class Grant(Request, frozen=True, omit_defaults=True, tag="grant"):
    lease: int
    ttl: int


class Revoke(Request, frozen=True, omit_defaults=True, tag="revoke"):
    lease: int


class KeepAlive(Request, frozen=True, omit_defaults=True, tag="keepalive"):
    """Answered with `ttl`; 0 says that there is no such lease."""

    lease: int


AnyRequest: TypeAlias = Put | Range | Delete | Txn | Compact | Grant | Revoke | KeepAlive


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to any request; each uses the fields that are its own. `revision`: the header's."""

    revision: int | None = None
    kvs: tuple[KeyValue, ...] | None = None
    count: int | None = None
    more: bool | None = None
    deleted: int | None = None
    prev_kvs: tuple[KeyValue, ...] | None = None
    succeeded: bool | None = None
    responses: tuple[Result, ...] | None = None
    ttl: int | None = None


class Call(msgspec.Struct, frozen=True, omit_defaults=True, tag="call", tag_field="type"):
    """`outcome`: `ok` (see `result`), `error` (refused, nothing was done, see `error`), or `unknown`.

    A call of unknown outcome may have taken effect at any time after `call`, also after `returned`, or never.
    """

    client: int
    call: int
    request: AnyRequest
    outcome: Literal["ok", "error", "unknown"]
    returned: int | None = msgspec.field(default=None, name="return")
    result: Result | None = None
    error: str = ""
    endpoint: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kv.mod` is the event's revision. `prev_kv` is what the key was before, if the watch asked for it."""

    type: Literal["PUT", "DELETE"]
    kv: KeyValue
    prev_kv: KeyValue | None = None

    @property
    def revision(self) -> int:
        return self.kv.mod or 0


class Watch(msgspec.Struct, frozen=True, omit_defaults=True, tag="watch", tag_field="type"):
    """A watch was asked for. `resumes` is the watch whose place it takes, after the last revision seen there."""

    watch: int
    client: int
    time: int
    key: str
    range_end: str = ""
    start_revision: int = 0
    prev_kv: bool = False
    progress_notify: bool = False
    filters: tuple[Literal["NOPUT", "NODELETE"], ...] = ()
    resumes: int | None = None
    endpoint: str = ""


class Watched(msgspec.Struct, frozen=True, omit_defaults=True, tag="watched", tag_field="type"):
    """One response. Without events, and neither created nor canceled, it is a progress notification."""

    watch: int
    time: int
    revision: int
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    fragment: bool = False
    events: tuple[Event, ...] = ()

    @property
    def is_progress(self) -> bool:
        return not (self.events or self.created or self.canceled or self.fragment)


class Start(msgspec.Struct, frozen=True, omit_defaults=True, tag="start", tag_field="type"):
    """What the store held before the first call; a new store when the history has no such line."""

    revision: int = 1
    compacted: int = 0
    kvs: tuple[KeyValue, ...] = ()
    leases: tuple[int, ...] = ()


Record: TypeAlias = Start | Call | Watch | Watched


class History(msgspec.Struct, frozen=True):
    calls: tuple[Call, ...] = ()
    watches: tuple[Watch, ...] = ()
    watched: tuple[Watched, ...] = ()
    start: Start = msgspec.field(default_factory=Start)


def leases_of(request: AnyRequest) -> set[int]:
    """The leases a request names."""
    if isinstance(request, Txn):
        steps = (*request.success, *request.failure)
        return {step.lease for step in steps if isinstance(step, Put) and step.lease}
    if isinstance(request, Put | Grant | Revoke | KeepAlive) and request.lease:
        return {request.lease}
    return set()


_decoder = msgspec.json.Decoder(Record)
_encoder = msgspec.json.Encoder()


def parse(lines: Iterable[bytes | str]) -> History:
    """Raises `HistoryError`. A last line that was cut short (the recorder died) is an error, too."""
    return collect(_records(lines))


def collect(records: Iterable[Record]) -> History:
    """Sorts records by kind; the order of calls is that of their start."""
    found = list(records)
    starts = [r for r in found if isinstance(r, Start)]
    return History(
        calls=tuple(sorted((r for r in found if isinstance(r, Call)), key=lambda call: call.call)),
        watches=tuple(r for r in found if isinstance(r, Watch)),
        watched=tuple(r for r in found if isinstance(r, Watched)),
        start=starts[0] if starts else Start(),
    )


def encode(record: Record) -> bytes:
    """One line, without its end."""
    return _encoder.encode(record)


def _records(lines: Iterable[bytes | str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _decoder.decode(line)
        except msgspec.DecodeError as error:
            raise HistoryError(f"line {number}: {error}") from error
        if isinstance(record, Call) and record.outcome != "unknown" and record.returned is None:
            raise HistoryError(f"line {number}: a call with outcome {record.outcome!r} needs `return`")
        yield record
