"""What a controller has asked for and not yet seen in its informer (P).

Before creating n pods a controller expects n creations; its informer handler counts them down; until
none is left, the controller's cache is known to be behind and it must not act on counts. Expectations
expire, so that a lost event delays a controller but never stops it. As client-go's
controller_utils.go; deletions are tracked by pod key so that each counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

EXPIRES_AFTER = 300.0  # seconds


@dataclass
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Per controller key. `clock` gives monotonic seconds (e.g. the event loop's time)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expected: dict[str, _Expected] = {}

    def expect_creations(self, key: str, count: int) -> None:
        """Replaces what was expected for `key`; call before the first create request."""
        self._expected[key] = _Expected(self._clock(), creations=count)

    def expect_deletions(self, key: str, pods: Iterable[str]) -> None:
        """Replaces what was expected for `key`; `pods` identify what will be deleted (keys or uids)."""
        self._expected[key] = _Expected(self._clock(), deletions=set(pods))

    def creation_observed(self, key: str) -> None:
        """A creation was seen, or its request failed and it never will be."""
        expected = self._expected.get(key)
        if expected is not None and expected.creations > 0:
            expected.creations -= 1

    def deletion_observed(self, key: str, pod: str) -> None:
        """A deletion was seen, or its request failed. One that nobody expected changes nothing."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(pod)

    def satisfied(self, key: str) -> bool:
        """Whether the controller may act: nothing outstanding, nothing ever expected, or expired."""
        expected = self._expected.get(key)
        if expected is None or (expected.creations <= 0 and not expected.deletions):
            return True
        return self._clock() - expected.since > EXPIRES_AFTER

    def outstanding(self, key: str) -> tuple[int, frozenset[str]]:
        """(creations, deletions) still expected."""
        expected = self._expected.get(key)
        return (expected.creations, frozenset(expected.deletions)) if expected else (0, frozenset())

    def delete(self, key: str) -> None:
        """The controller object is gone."""
        self._expected.pop(key, None)
