"""What a process remembers of what it did: one record for each request, decision and step (P).

Filled by the API server (``apiserver.http.filters.journal``), and by scheduler, controllers and kubelet through
``components.client.activity``; read by ``components.insight``, which asks all processes and tells one story. A record
is encoded once, when it is made: what is kept, sent and streamed is those bytes. Who makes a record leaves out what
nobody may see: no content of an object is in one, only its name and the paths of its fields.

Bounded three ways: by the number of records, by their bytes, and by the records of one object, so that a node that
reports every few seconds does not push out what happened once. Not thread-safe: one event loop.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

MAX_RECORDS: Final = 20_000
MAX_BYTES: Final = 16 << 20
MAX_PER_OBJECT: Final = 300
_LONGEST_SUMMARY: Final = 1024
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class ObjectRef(msgspec.Struct, frozen=True, gc=False):
    """``resource`` is the plural; ``uid`` is empty where it is not known."""

    resource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class Record(msgspec.Struct):
    """``time`` is RFC 3339 with microseconds. ``revision``: written, or what the decision was made on."""

    time: str
    source: str
    verb: str
    object: ObjectRef
    summary: str
    detail: dict[str, Any]
    instance: str = ""
    component: str = ""
    revision: int | None = None


class Query(msgspec.Struct, frozen=True):
    """What is asked for; an empty field asks for all. ``since`` has the form of `Record.time`. ``any_of``: several
    objects by their places, instead of ``object``."""

    object: ObjectRef = ObjectRef()
    source: str = ""
    component: str = ""
    since: str = ""
    limit: int = 500
    any_of: tuple[ObjectRef, ...] = ()


class _Entry:
    __slots__ = ("component", "data", "key", "object", "source", "time")

    def __init__(self, record: Record, data: bytes) -> None:
        ref = record.object
        self.time, self.source, self.component = record.time, record.source, record.component
        self.object = ref
        self.key = (ref.resource, ref.namespace, ref.name)
        self.data = data


Key = tuple[str, str, str]
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Record)


class Journal:
    """``instance`` names the process (``m1``, ``w1``); ``now`` is in UTC."""

    def __init__(
        self,
        instance: str,
        now: Callable[[], datetime],
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        max_per_object: int = MAX_PER_OBJECT,
    ) -> None:
        self.instance = instance
        self.now = now
        self._max_records, self._max_bytes, self._max_each = max_records, max_bytes, max_per_object
        self._entries: deque[_Entry] = deque()
        self._by_object: dict[Key, list[_Entry]] = {}
        self._count = self._bytes = 0
        self._subscribers: list[Callable[[bytes], None]] = []
        self._last: dict[tuple[str, str], bytes] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes of the records that are kept."""
        return self._bytes

    def note(
        self,
        source: str,
        verb: str,
        ref: ObjectRef,
        summary: str,
        detail: dict[str, Any],
        *,
        component: str = "",
        revision: int | None = None,
        ago: float = 0.0,
    ) -> None:
        """Make a record of this process, of what began so many seconds ago."""
        begun = timestamp(self.now() - timedelta(seconds=ago))
        made = Record(begun, source, verb, ref, summary[:_LONGEST_SUMMARY], detail)
        made.instance, made.component, made.revision = self.instance, component, revision
        self.add(made)

    def add(self, record: Record) -> None:
        entry = _Entry(record, _encoded(record))
        self._entries.append(entry)
        mine = self._by_object.get(entry.key)
        if mine is None:
            mine = self._by_object[entry.key] = []
        mine.append(entry)
        self._count += 1
        self._bytes += len(entry.data)
        if entry.component:
            self._last[entry.source, entry.component] = entry.data
        if len(mine) > self._max_each:
            self._forget(mine.pop(0))
        while self._is_over():
            self._drop_oldest()
        if len(self._entries) > 2 * self._max_records:
            self._entries = deque(entry for entry in self._entries if entry.data)
        for tell in self._subscribers:
            tell(entry.data)

    def lines(self, query: Query) -> list[bytes]:
        """The encoded records that are asked for, oldest first: the newest ``limit`` of them."""
        if query.any_of:
            refs = dict.fromkeys(query.any_of)
            found = [entry for ref in refs for entry in self._newest(ref, query)]
            found.sort(key=lambda entry: entry.time)
            return [entry.data for entry in found[-query.limit :]]
        return [entry.data for entry in self._newest(query.object, query)]

    def _newest(self, ref: ObjectRef, query: Query) -> list[_Entry]:
        found: list[_Entry] = []
        for entry in reversed(self._candidates(ref)):
            if len(found) >= query.limit:
                break
            if _matches(entry, ref, query):
                found.append(entry)
        found.reverse()
        return found

    def records(self, query: Query) -> list[Record]:
        """As `lines`, decoded."""
        return [decode(line) for line in self.lines(query)]

    def last(self, source: str, component: str) -> Record | None:
        """The newest of a component, also one that is no longer kept."""
        line = self._last.get((source, component))
        return decode(line) if line is not None else None

    def subscribe(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        """``tell`` gets every new record, encoded; call the result to end that."""
        self._subscribers = [*self._subscribers, tell]

        def end() -> None:
            self._subscribers = [other for other in self._subscribers if other is not tell]

        return end

    def _candidates(self, ref: ObjectRef) -> Sequence[_Entry]:
        """An object is found by its place; of one without a namespace that is its whole place."""
        if ref.resource and ref.name:
            return self._by_object.get((ref.resource, ref.namespace, ref.name), ())
        return self._entries

    def _is_over(self) -> bool:
        return self._count > self._max_records or self._bytes > self._max_bytes

    def _drop_oldest(self) -> None:
        oldest = self._entries.popleft()
        if not oldest.data:
            return  # forgotten before
        mine = self._by_object[oldest.key]
        del mine[0]
        if not mine:
            del self._by_object[oldest.key]
        self._forget(oldest)

    def _forget(self, entry: _Entry) -> None:
        """Its place in the order of all goes later."""
        self._count -= 1
        self._bytes -= len(entry.data)
        entry.data = b""


def timestamp(moment: datetime) -> str:
    """RFC 3339 with microseconds; the order of texts is the order of times. ``moment`` is in UTC."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def decode(line: bytes) -> Record:
    return _DECODER.decode(line)


def _matches(entry: _Entry, wanted: ObjectRef, query: Query) -> bool:
    ref = entry.object
    return bool(
        entry.data
        and (not query.source or entry.source == query.source)
        and (not query.component or entry.component == query.component)
        and entry.time >= query.since
        and (not wanted.resource or ref.resource == wanted.resource)
        and (not wanted.group or ref.group == wanted.group)
        and (not wanted.namespace or ref.namespace == wanted.namespace)
        and (not wanted.name or ref.name == wanted.name)
        and (not wanted.uid or not ref.uid or ref.uid == wanted.uid)
    )


def _encoded(record: Record) -> bytes:
    """Headers of clients may be no UTF-8; as Go does it, U+FFFD stands for such bytes."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_readable(msgspec.to_builtins(record)))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list | tuple) else value
