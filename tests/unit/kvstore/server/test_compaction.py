"""Auto-compaction: the decisions, and the task that carries them out, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import Compacted, NoLeader
from kvstore.server import autocompact
from kvstore.server.compaction import ByRevision, Periodic, Retention, compactor, parse_retention
from kvstore.types import CompactionRequest, CompactionResponse
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize(
    ("mode", "text", "amount"),
    [
        ("periodic", "0", None),
        ("periodic", "1", 3600),
        ("periodic", "5m", 300),
        ("periodic", "0s", None),
        ("revision", "1000", 1000),
        ("revision", "0", None),
    ],
)
def test_retention(mode: str, text: str, amount: float | None) -> None:
    assert parse_retention(mode, text) == (Retention(mode, amount) if amount else None)


@pytest.mark.parametrize(("mode", "text"), [("periodic", "-5m"), ("periodic", "x"), ("revision", "1h")])
def test_bad_retention(mode: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_retention(mode, text)


class FakeMember:
    """One revision a second; compactions are written down with their time."""

    is_leader = True

    def __init__(self, *failures: Exception) -> None:
        self.compacted: list[tuple[float, int]] = []
        self._failures = list(failures)

    def revision(self) -> int:
        return int(asyncio.get_running_loop().time()) + 1

    async def compact(self, request: CompactionRequest) -> CompactionResponse:
        self.compacted.append((asyncio.get_running_loop().time(), request.revision))
        if self._failures:
            raise self._failures.pop(0)
        return CompactionResponse()


def compactions(member: FakeMember, retention: Retention, seconds: float) -> list[tuple[float, int]]:
    async def scenario() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(autocompact.run(member, retention), seconds)  # type: ignore[arg-type]

    run_virtual(scenario())
    return [(round(time), revision) for time, revision in member.compacted]


def test_periodic_keeps_one_period() -> None:
    assert compactions(FakeMember(), Retention("periodic", 100), 305) == [(100, 1), (200, 91), (300, 191)]


def test_periodic_of_more_than_an_hour_compacts_every_hour() -> None:
    day = 24 * 3600
    found = compactions(FakeMember(), Retention("periodic", day), day + 2 * 3600 + 1)
    assert [time for time, _ in found] == [day, day + 3600, day + 7200]
    assert [revision for _, revision in found] == [1, 3600 - 360 + 1, 7200 - 360 + 1]


def test_a_failed_compaction_is_tried_again_after_a_tenth() -> None:
    found = compactions(FakeMember(NoLeader(), NoLeader()), Retention("periodic", 100), 215)
    assert [time for time, _ in found] == [100, 110, 120]


def test_what_is_compacted_already_counts_as_done() -> None:
    found = compactions(FakeMember(Compacted(5)), Retention("periodic", 100), 195)
    assert [time for time, _ in found] == [100]


def test_by_revision_looks_every_five_minutes_and_never_twice_at_the_same() -> None:
    assert compactions(FakeMember(), Retention("revision", 400), 905) == [(600, 201), (900, 501)]
    plan = ByRevision(10)
    assert plan.due(300, 20, True) == 10
    plan.done(300, 10)
    assert plan.due(600, 20, True) is None


def test_only_the_leader_compacts_and_a_new_one_has_kept_the_window() -> None:
    plan = Periodic(100, 0, 1)
    assert [plan.due(10.0 * n, 10 * n + 1, leading=False) for n in range(1, 21)] == [None] * 20
    assert plan.due(210, 211, leading=True) == 101


@given(st.integers(1, 100_000), st.lists(st.integers(0, 50), min_size=1, max_size=200))
def test_never_younger_than_the_period(period: int, steps: list[int]) -> None:
    """The compacted revision was current at least one period (less a tick) ago."""
    plan = compactor(Retention("periodic", period), 0.0, 0)
    history = {0: 0}
    revision = 0
    for tick, step in enumerate(steps, 1):
        revision += step
        target = plan.due(tick * plan.interval, revision, True)
        if target is not None:
            past = max(0, tick - round(period / plan.interval) - 1)
            assert history[past] <= target <= history[max(0, tick - round(period / plan.interval))]
            plan.done(tick * plan.interval, target)
        history[tick] = revision
