"""The story of a slow request."""

from __future__ import annotations

from apiserver.http.filters.trace import lines


def test_each_step_says_when_it_was_done_and_how_long_it_took() -> None:
    steps = [(10.010, "authenticated"), (10.510, "got a seat"), (10.520, "authorized")]
    assert lines(steps, 10.0, 0.9) == [
        "  ---10ms authenticated (10ms)",
        "  ---510ms got a seat (500ms)",
        "  ---520ms authorized (10ms)",
        "  ---900ms END (380ms)",
    ]


def test_a_request_without_steps_has_an_end() -> None:
    assert lines([], 1.0, 0.7) == ["  ---700ms END (700ms)"]
