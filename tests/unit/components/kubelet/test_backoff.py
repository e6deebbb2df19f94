"""The back-off of crashing containers: 10 s, doubling to 5 min, forgotten after 10 min of peace."""

from __future__ import annotations

import pytest

from components.kubelet.pods.backoff import Backoff, go_duration


def test_first_failure_restarts_at_once_then_waits_double() -> None:
    backoff, now, waits = Backoff(), 0.0, []
    for _ in range(8):
        waits.append(backoff.remaining("a", now, now))
        now += waits[-1]
        backoff.next("a", now - waits[-1], now)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_long_peace_starts_over() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.next("a", 0, 0)
    assert backoff.remaining("a", 601, 601) == 0
    backoff.next("a", 601, 601)
    assert backoff.delay("a") == 10


def test_forgetting_is_by_prefix() -> None:
    backoff = Backoff()
    backoff.next("u1/a", 0, 0)
    backoff.next("u2/a", 0, 0)
    backoff.forget("u1")
    assert (backoff.delay("u1/a"), backoff.delay("u2/a")) == (0, 10)


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (40, "40s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")]
)
def test_durations_read_as_go_prints_them(seconds: int, text: str) -> None:
    assert go_duration(seconds) == text
