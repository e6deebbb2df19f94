"""Who was refused for a certificate that had ended, and for how long (P).

Fed by `faults.certificates`, which knocks at each door again and again: a door is a certificate in one of its uses,
as what a server shows or as what a client shows. Judged by `checks.certificates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components.drills.observed import Knock

MARGIN = 1.0
"""Seconds after the end in which a certificate may still pass: its end is written in whole seconds."""


@dataclass(frozen=True)
class Door:
    """`early`, `passed`: refused before the end, let in after it. `last`: why the last knock was refused, if it was.

    `refused`: seconds from the first refusal of the time without a good certificate to the next time that it opened.
    """

    name: str
    early: int
    passed: int
    refused: float
    last: str


def doors(knocks: Iterable[Knock], expired: float, renewed: float) -> list[Door]:
    """One for each name, in the order of their first knocks. Times in seconds since the run's origin."""
    by_name: dict[str, list[Knock]] = {}
    for knock in sorted(knocks, key=lambda knock: knock.time):
        by_name.setdefault(knock.door, []).append(knock)
    return [_door(name, found, expired, renewed) for name, found in by_name.items()]


def _door(name: str, knocks: list[Knock], expired: float, renewed: float) -> Door:
    since = next((k.time for k in knocks if k.error and k.time >= expired), None)
    opened = next(
        (k.time for k in knocks if not k.error and k.time > max(since or 0.0, renewed)), knocks[-1].time
    )
    return Door(
        name=name,
        early=sum(bool(k.error) for k in knocks if k.time < expired),
        passed=sum(not k.error for k in knocks if expired + MARGIN <= k.began and k.time <= renewed),
        refused=0.0 if since is None else opened - since,
        last=knocks[-1].error,
    )


def unfit(door: Door) -> Iterator[str]:
    """What a certificate that ends may not do."""
    if door.early:
        yield f"{door.name} was refused {door.early} times before its certificate had ended"
    if door.passed:
        yield f"{door.name} was let in {door.passed} times although its certificate had ended"
    if not door.refused:
        yield f"{door.name} was never refused"
    if door.last:
        yield f"{door.name} is refused after the renewal: {door.last}"
