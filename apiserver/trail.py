"""What a request leaves behind on its way, for its record in the journal: what was changed, what was stored.

Begun by ``apiserver.http.filters.journal`` for writes, written on by admission and by the storage, which know nothing
of requests: so it travels in a context variable, and is absent where nobody asked for it. References only, no copies.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Write(NamedTuple):
    """One acknowledged write: ``previous`` is the revision that it replaced, 0 for none. ``at``: perf_counter's."""

    key: str
    revision: int
    previous: int
    at: float


@dataclass(slots=True)
class Trail:
    """``obj`` is the object as validating admission saw it last; ``changed``: (plugin, paths of fields)."""

    writes: list[Write] = field(default_factory=list)
    changed: list[tuple[str, list[str]]] = field(default_factory=list)
    obj: dict[str, Any] | None = None

    def wrote(self, key: str, revision: int, previous: int) -> None:
        self.writes.append(Write(key, revision, previous, time.perf_counter()))


CURRENT: ContextVar[Trail | None] = ContextVar("trail", default=None)
"""That of the request that is served by the running task."""
