"""Do all members hold the same data? The comparison of their hashes, and the verdict.

A `HashCheckRequest` in the log marks one point of all members' histories. Each member hashes what it has at that
point, in a thread, and reports the number through the log (`HashReportRequest`); so every member knows all
reports, and the leader of the moment accuses those that disagree with the majority by raising CORRUPT in their
name. etcd has the leader ask its peers instead, and names a follower whenever it disagrees with the leader. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from kvstore.types import HashReportRequest

UNKNOWN = 0
"""As the member of an alarm: members disagree, but there is no majority to tell who is wrong."""


class Point(NamedTuple):
    """Where members are compared: the Raft index of the check, the store's revision and compaction there."""

    at: int
    revision: int
    compact_revision: int


class Comparison:
    """The latest check that is under way. Volatile: a check that a restart cuts short is simply lost."""

    def __init__(self) -> None:
        self.point: Point | None = None
        self.is_hashed = False
        self._reports: dict[int, int] = {}

    def begin(self, point: Point) -> None:
        self.point, self.is_hashed = point, False
        self._reports = {}

    def end(self) -> None:
        """The verdict is known, or nobody may ask for it any more."""
        self.point = None
        self._reports = {}

    def report(self, request: HashReportRequest) -> None:
        if self.point is not None and request.index == self.point.at:
            self._reports[request.member_id] = request.hash

    def odd_ones(self, members: Collection[int]) -> set[int]:
        """Who disagrees with a majority of the members, as far as is known; `UNKNOWN` if none can be had."""
        hashes = {member: hash_ for member, hash_ in self._reports.items() if member in members}
        counts = Counter(hashes.values()).most_common()
        if len(counts) < 2:
            return set()
        favourite, votes = counts[0]
        if votes > len(members) // 2:
            return {member for member, hash_ in hashes.items() if hash_ != favourite}
        return {UNKNOWN} if len(hashes) == len(members) else set()

    def is_settled(self, members: Collection[int]) -> bool:
        """Whether no report that is missing can change the verdict on those that are there."""
        votes = Counter(h for member, h in self._reports.items() if member in members)
        return len(self._reports) >= len(members) or max(votes.values(), default=0) > len(members) // 2
