"""When the events of a ring came, which decides when a late watch gives them out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apiserver.http.handlers.faulty_watch import Arrivals


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(0.1, 10)), max_size=20))
def test_every_event_came_with_the_change_that_it_was_in(changes: list[tuple[int, float]]) -> None:
    """As a naive list of times by position says; what was there before came when the watch began."""
    arrivals, times, now = Arrivals(1.0), [1.0, 1.0], 1.0
    arrivals.note(len(times), now)
    for count, pause in changes:
        now += pause
        times += [now] * count
        arrivals.note(len(times), now)
    assert [arrivals.of(position) for position in range(len(times))] == times


def test_an_event_without_a_mark_counts_from_the_last_one() -> None:
    arrivals = Arrivals(5.0)
    assert arrivals.of(3) == 5.0
    arrivals.note(4, 7.0)
    assert (arrivals.of(3), arrivals.of(4), arrivals.of(9)) == (7.0, 7.0, 7.0)
