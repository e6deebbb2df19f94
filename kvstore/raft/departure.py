"""When a member that was removed may end (no I/O). `kvstore.raft.leaving` asks.

A change of the members is in force on a member once that one has applied it. Until most of those who stay have, the
removed one may be the only one alive that knows its removal to be committed, and the others would go on to count it.
"""

from __future__ import annotations

from kvstore.raft.config import Voting

PATIENCE = 10
"""Election timeouts after the first dismissal; then one is enough, since others may have been removed, too."""


class Departure:
    """A member *dismisses* another when it has applied its removal."""

    def __init__(self, member_id: int) -> None:
        self._id = member_id
        self.dismissed_by: set[int] = set()

    def may_end(self, voting: Voting) -> bool:
        """`voting`: the members as far as this one knows."""
        rest = voting.voters - {self._id}
        return len(self.dismissed_by & rest) * 2 > len(rest)
