"""(P) Whether a sync of the log may stop the event loop: `kvstore.raft.syncing` asks.

A thread for the log costs two wake-ups, one each way, on the path of every write; an idle processor takes longer to
wake than a good disk takes to sync. So a follower writes on the loop itself while its disk is quick. What a disk will
do next nobody knows: a single sync that hangs stops the loop of its member. Therefore only so many members do it that
the leader and those with a free loop are a majority: they keep the leader in its place, as signs of life do not wait
for the disk. A leader never does it.
"""

from __future__ import annotations

from collections.abc import Collection

QUICK_SECONDS = 0.001
QUICK_SYNCS = 32
"""So many quick ones in a row show that a disk is quick."""
SMALL_BYTES = 64 << 10
"""Of a batch that is written so."""


class Pace:
    def __init__(self, member_id: int) -> None:
        self._id = member_id
        self._quick = 0

    def observe(self, seconds: float) -> None:
        """What the last write and sync took."""
        self._quick = self._quick + 1 if seconds < QUICK_SECONDS else 0

    def may_stop_the_loop(self, leader: int | None, voters: Collection[int], size: int) -> bool:
        """Of this member as a follower, to write so many bytes."""
        if self._quick < QUICK_SYNCS or size > SMALL_BYTES or leader is None:
            return False
        followers = sorted(set(voters) - {leader})
        return self._id in followers[: len(followers) // 2]
