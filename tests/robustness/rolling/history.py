"""What clients saw, and what may not be in it (P).

A watch may not miss an event, show one twice, or go back; it may never have to list again. A request may fail only in
ways that a standard client repeats by itself: see `traffic`, which repeats those and no others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "default"
PREFIX = "rolling-"
MARK = f"{PREFIX}mark"  # the last object that is written


@dataclass
class Seen:
    """One watcher's view. ``revisions`` are the resourceVersions of our objects, in the order they came."""

    who: str
    lists: int = 0
    revisions: list[int] = field(default_factory=list)
    last: str = ""
    failures: list[str] = field(default_factory=list)

    def listed(self) -> None:
        self.lists += 1

    def event(self, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        if metadata["name"].startswith(PREFIX):
            self.revisions.append(int(metadata["resourceVersion"]))
            self.last = metadata["name"]

    def problems(self, written: list[int]) -> list[str]:
        """``written``: the resourceVersions of every acknowledged write after the list, in any order."""
        found = [f"{self.who}: {text}" for text in self.failures]
        if self.lists != 1:
            found.append(f"{self.who}: listed {self.lists} times")
        backwards = sum(b <= a for a, b in zip(self.revisions, self.revisions[1:], strict=False))
        if backwards:
            found.append(f"{self.who}: {backwards} events twice or out of order")
        missed = set(written) - set(self.revisions)
        if missed:
            found.append(f"{self.who}: missed {len(missed)} of {len(written)}, first {min(missed)}")
        return found


@dataclass
class Requests:
    """Of one client. ``repeated`` counts what a standard client repeats by itself."""

    who: str
    answered: int = 0
    repeated: int = 0
    written: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
