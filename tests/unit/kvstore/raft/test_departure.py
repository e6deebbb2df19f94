"""When a member that was removed may end."""

from __future__ import annotations

import pytest

from kvstore.raft.config import Voting
from kvstore.raft.departure import Departure


@pytest.mark.parametrize(
    ("voters", "dismissed_by", "may_end"),
    [
        ({2}, set(), False),
        ({2}, {2}, True),
        ({2, 3}, {2}, False),
        ({2, 3}, {2, 3}, True),
        ({1, 2, 3}, {2}, False),  # it has missed its removal: it counts itself no more, too
        ({1, 2, 3, 4}, {2, 3}, True),
        ({2, 3, 4}, {2, 9}, False),  # not by one that this one does not know
    ],
)
def test_most_of_those_who_stay_must_know(voters: set[int], dismissed_by: set[int], may_end: bool) -> None:
    departure = Departure(1)
    departure.dismissed_by |= dismissed_by
    assert departure.may_end(Voting(frozenset(voters))) is may_end
