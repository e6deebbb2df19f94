"""All faults of one API server and how often each has met a request (P).

Filled by `store` whenever what is stored has changed; asked by `http.filters.faults` for every request. Faults are
asked in the order of their names. Counts of a fault live as long as it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apiserver.faults.matching import Facts, meets
from apiserver.faults.rule import Fault
from apiserver.faults.share import due


@dataclass(slots=True)
class Counts:
    """``matched``: requests that a fault was meant for; ``injected``: those that it was done to."""

    matched: int = 0
    injected: int = 0


class Table:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._counts: dict[str, Counts] = {}

    def replace(self, faults: Iterable[Fault]) -> None:
        self._faults = sorted(faults, key=lambda fault: fault.name)
        self._counts = {f.name: self._counts.get(f.name) or Counts() for f in self._faults}

    def due(self, facts: Facts) -> list[Fault]:
        """What is to be done to this request. Each call counts as one."""
        return [fault for fault in self._faults if self._is_due(fault, facts)]

    def injected(self, fault: Fault) -> None:
        if (counts := self._counts.get(fault.name)) is not None:
            counts.injected += 1

    def counts(self, name: str) -> Counts:
        return self._counts.get(name) or Counts()

    @property
    def faults(self) -> list[Fault]:
        return list(self._faults)

    def _is_due(self, fault: Fault, facts: Facts) -> bool:
        spec = fault.spec
        if fault.spent or not meets(spec.match, spec.action, facts):
            return False
        counts = self._counts[fault.name]
        counts.matched += 1
        return due(spec.share, counts.matched)
