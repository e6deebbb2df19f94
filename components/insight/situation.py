"""What is known of an object when somebody asks why it is as it is (P): filled by `collect`, read by `reasons`.

Everything is as it was stored; nothing here asks anybody. What may be missing is empty: a journal that begins only
now, events that have expired. Each reason says what it can say from what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from apiserver.api import meta
from apiserver.api.journal import Record
from apiserver.api.meta import Object


class Kind(msgspec.Struct, frozen=True):
    """A resource as it is served; ``resource`` is the plural."""

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Fact(msgspec.Struct, omit_defaults=True):
    """One thing that explains. ``evidence`` says where it is from; ``since`` is RFC 3339, ``remedy`` what to do."""

    text: str
    evidence: str = ""
    since: str | None = None
    remedy: str | None = None


@dataclass
class Finding:
    """What a reason found. The headline of the heaviest one is that of the explanation; empty: only a fact."""

    facts: list[Fact]
    headline: str = ""
    weight: int = 0


@dataclass
class Situation:
    """``object`` is None if there is none of that name. ``related`` are other objects by kind: nodes, claims, owners
    and so on; ``parts`` those that it owns and that are not well, explained on their own."""

    kind: Kind
    namespace: str
    name: str
    object: Object | None
    now: datetime
    events: list[Object] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    related: dict[str, list[Object]] = field(default_factory=dict)
    parts: list[Situation] = field(default_factory=list)

    @property
    def title(self) -> str:
        """``Pod default/web``, ``Node w1``."""
        return (
            f"{self.kind.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind.kind} {self.name}"
        )

    def is_a(self, *kinds: str) -> bool:
        return self.object is not None and self.kind.kind in kinds

    @property
    def obj(self) -> Object:
        """The object; only of one that there is."""
        assert self.object is not None
        return self.object

    @property
    def spec(self) -> Object:
        return (self.object or {}).get("spec") or {}

    @property
    def status(self) -> Object:
        return (self.object or {}).get("status") or {}

    def condition(self, name: str) -> Object:
        """Empty if there is none."""
        return next((c for c in self.status.get("conditions") or [] if c.get("type") == name), {})

    def of(self, kind: str) -> list[Object]:
        return self.related.get(kind, [])

    def find(self, kind: str, name: str) -> Object | None:
        return next((obj for obj in self.of(kind) if meta.name(obj) == name), None)

    def last_event(self, *reasons: str) -> Object | None:
        return next((event for event in reversed(self.events) if event.get("reason") in reasons), None)


def event_time(event: Object) -> str:
    """When it happened last."""
    series = event.get("series") or {}
    for value in (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")):
        if value:
            return str(value)
    return str((event.get("metadata") or {}).get("creationTimestamp") or "")


def event_text(event: Object) -> str:
    """As evidence: ``event FailedScheduling, 4 times``."""
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    often = f", {count} times" if count > 1 else ""
    return f"event {event.get('reason')}{often}"


def times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


@dataclass(frozen=True)
class Container:
    """A container's status, and its spec; ``initial``: one of the init containers."""

    name: str
    spec: Object
    status: Object
    initial: bool

    @property
    def waiting(self) -> Object:
        return (self.status.get("state") or {}).get("waiting") or {}

    @property
    def running(self) -> Object:
        return (self.status.get("state") or {}).get("running") or {}

    @property
    def ended(self) -> Object:
        """The last end there was: of this run, else of the one before."""
        now = (self.status.get("state") or {}).get("terminated")
        return now or (self.status.get("lastState") or {}).get("terminated") or {}

    @property
    def restarts(self) -> int:
        return int(self.status.get("restartCount") or 0)


def containers(pod: Object) -> Iterator[Container]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for field_name, status_name in (
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
    ):
        known: dict[str, Any] = {found["name"]: found for found in status.get(status_name) or []}
        for one in spec.get(field_name) or []:
            yield Container(one["name"], one, known.get(one["name"], {}), field_name == "initContainers")
