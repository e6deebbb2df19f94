"""FlowSchema and PriorityLevelConfiguration objects as the parts of this package want them (P).

Whatever is stored, ``exempt`` and ``catch-all`` are there, as the original's mandatory objects say; so every request
has a level. A schema that names a level that is not there takes no requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.flowcontrol.matching import FlowSchema, in_order
from apiserver.flowcontrol.queueset import Queuing

Object = Mapping[str, Any]
EXEMPT, CATCH_ALL = "exempt", "catch-all"
MANDATORY = (EXEMPT, CATCH_ALL)
_DEFAULT_PRECEDENCE, _DEFAULT_SHARES = 1000, 30
_DEFAULT_QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


@dataclass(frozen=True, slots=True)
class Level:
    """A priority level as configured; ``seats`` is its part of the server's."""

    name: str
    uid: str
    queuing: Queuing
    shares: int
    seats: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Schemas in the order in which they are tried, and the levels that they lead to."""

    schemas: list[FlowSchema]
    levels: dict[str, Level]
    dangling: frozenset[str] = frozenset()


def table(schemas: Sequence[Object], levels: Sequence[Object], bundled: _Bundle, seats: int) -> Table:
    """``bundled``: schemas and levels that stand in for mandatory ones that are not stored."""
    found_levels = {level.name: level for level in map(read_level, _with_mandatory(levels, bundled[1]))}
    shared = share_out({name: level.shares for name, level in found_levels.items()}, seats)
    known = {
        name: Level(name, level.uid, level.queuing, level.shares, shared[name])
        for name, level in found_levels.items()
    }
    found = [read_schema(obj) for obj in _with_mandatory(schemas, bundled[0])]
    dangling = frozenset(schema.name for schema in found if schema.level not in known)
    return Table(in_order(s for s in found if s.name not in dangling), known, dangling)


_Bundle = tuple[Sequence[Object], Sequence[Object]]


def _with_mandatory(stored: Sequence[Object], bundled: Sequence[Object]) -> Iterable[Object]:
    names = {obj["metadata"]["name"] for obj in stored}
    yield from stored
    for obj in bundled:
        if obj["metadata"]["name"] in MANDATORY and obj["metadata"]["name"] not in names:
            yield obj


def share_out(shares: Mapping[str, int], seats: int) -> dict[str, int]:
    """The server's seats by level: each its part, rounded up, as the original does."""
    total = sum(shares.values())
    return {name: math.ceil(seats * share / total) if total else 0 for name, share in shares.items()}


def read_schema(obj: Object) -> FlowSchema:
    spec = obj.get("spec") or {}
    return FlowSchema(
        obj["metadata"]["name"],
        obj["metadata"].get("uid", ""),
        spec.get("matchingPrecedence") or _DEFAULT_PRECEDENCE,
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(spec.get("rules") or ()),
    )


def read_level(obj: Object) -> Level:
    spec, name, uid = obj.get("spec") or {}, obj["metadata"]["name"], obj["metadata"].get("uid", "")
    if spec.get("type") == "Exempt":
        shares = (spec.get("exempt") or {}).get("nominalConcurrencyShares") or 0
        return Level(name, uid, Queuing(exempt=True), shares)
    limited = spec.get("limited") or {}
    shares = limited.get("nominalConcurrencyShares")
    return Level(name, uid, _queuing(limited), _DEFAULT_SHARES if shares is None else shares)


def _queuing(limited: Object) -> Queuing:
    response = limited.get("limitResponse") or {}
    if response.get("type") != "Queue":
        return Queuing()
    wanted = {**_DEFAULT_QUEUING, **{k: v for k, v in (response.get("queuing") or {}).items() if v}}
    queues = wanted["queues"]
    return Queuing(queues, min(wanted["handSize"], queues), wanted["queueLengthLimit"])
