"""Which events are written, and how repetitions are folded together (P).

Between `EventRecorder.event` and its requests. As client-go's events_cache.go:
- the same event again becomes a higher count of the first one;
- ten events that differ only in their message within ten minutes become one "(combined from similar events)";
- one source may write 25 events about one object, then one in five minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from apiserver.api.meta import Object
from components.client.ratelimit import TokenBucket

_CACHE_ENTRIES = 4096
_SIMILAR_LIMIT = 10
_SIMILAR_SECONDS = 600.0
_SPAM_BURST = 25
_SPAM_QPS = 1 / 300

V = TypeVar("V")


class Lru(Generic[V]):
    """A dict that forgets its least recently used entry."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._values: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Any, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._entries:
            self._values.popitem(last=False)

    def discard(self, key: Any) -> None:
        self._values.pop(key, None)


@dataclass
class _Similar:
    since: float
    messages: set[str] = field(default_factory=set)


class _Known(NamedTuple):
    name: str
    times: int
    first_timestamp: str


class Decision(NamedTuple):
    """`patch` is None for an event to be created, else what to merge into the existing event."""

    event: Object
    patch: Object | None
    key: Any


class EventCorrelator:
    """State per source and object, bounded. `now` arguments are monotonic seconds."""

    def __init__(self) -> None:
        self._similar: Lru[_Similar] = Lru(_CACHE_ENTRIES)
        self._known: Lru[_Known] = Lru(_CACHE_ENTRIES)
        self._buckets: Lru[TokenBucket] = Lru(_CACHE_ENTRIES)

    def correlate(self, event: Object, now: float) -> Decision | None:
        """What to write for `event` (a complete new Event with count 1), or None to drop it."""
        event, key = self._combined(event, now)
        known = self._known.get(key)
        patch = None
        if known is not None:
            event["metadata"]["name"] = known.name
            event["count"] = known.times + 1
            event["firstTimestamp"] = known.first_timestamp
            patch = {k: event[k] for k in ("count", "lastTimestamp", "message")}
        self._remember(key, event)
        if not self._allowed(event, now):
            return None
        return Decision(event, patch, key)

    def written(self, key: Any, event: Object) -> None:
        """The server's view of an event after a create."""
        self._remember(key, event)

    def forget(self, key: Any) -> None:
        """The event no longer exists at the server: the next one is created anew."""
        self._known.discard(key)

    def _remember(self, key: Any, event: Object) -> None:
        self._known.put(
            key, _Known(event["metadata"]["name"], int(event.get("count") or 1), event["firstTimestamp"])
        )

    def _combined(self, event: Object, now: float) -> tuple[Object, Any]:
        group = (*_source_and_object(event), event["type"], event["reason"])
        similar = self._similar.get(group)
        if similar is None or now - similar.since > _SIMILAR_SECONDS:
            similar = _Similar(now)
        similar.messages.add(event["message"])
        similar.since = now
        self._similar.put(group, similar)
        if len(similar.messages) < _SIMILAR_LIMIT:
            return event, (*group, event["message"])
        similar.messages.pop()
        return {**event, "message": f"(combined from similar events): {event['message']}"}, group

    def _allowed(self, event: Object, now: float) -> bool:
        key = _source_and_object(event)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(_SPAM_QPS, _SPAM_BURST)
            self._buckets.put(key, bucket)
        return bucket.try_take(now)


def _source_and_object(event: Object) -> tuple[str, ...]:
    source, involved = event.get("source") or {}, event["involvedObject"]
    fields = ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
    return (
        source.get("component", ""),
        source.get("host", ""),
        *(involved.get(f) or "" for f in fields),
    )
