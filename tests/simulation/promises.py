"""What must hold at every moment of a simulated cluster. Each breach raises `Violation` where it happens.

- Election safety: one leader a term, each with votes that a majority of the voters holds on disk.
- Leader completeness: a new leader has every entry that was committed in an earlier term.
- Log matching: one (index, term) names one entry with one predecessor, in every log.
- Commitment: what a leader commits is on the disks of a majority; nobody commits more than leaders did.
- State machine safety: one entry for each index is applied, by all, in order, without a gap.

What watches are promised is checked by who watches (`watches.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kvstore.raft.config import Voting


class Violation(AssertionError):
    """The simulated cluster broke a promise."""


class Durable(Protocol):
    """What is on one member's disks, whether it runs or not."""

    @property
    def vote(self) -> tuple[int, int]:
        """(term, member voted for)"""

    def holds(self, index: int, term: int) -> bool: ...


class Log(Protocol):
    def holds(self, index: int, term: int) -> bool: ...


class Promises:
    def __init__(self) -> None:
        self._leaders: dict[int, int] = {}
        self._entries: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._logged_by: dict[tuple[int, int], set[int]] = {}
        self._committed: dict[int, tuple[int, int]] = {}  # leader's term -> last (index, term) it committed
        self._applied: dict[int, tuple[int, tuple[bytes, ...]]] = {}
        self.commit_index = 0

    def leads(self, member: int, term: int, voting: Voting, log: Log, disks: dict[int, Durable]) -> None:
        if self._leaders.setdefault(term, member) != member:
            raise Violation(f"members {self._leaders[term]} and {member} both lead in term {term}")
        self._elected(member, term, voting, disks)
        for committed_in, (index, entry_term) in self._committed.items():
            if committed_in < term and not log.holds(index, entry_term):
                raise Violation(f"leader {member} of term {term} lacks entry {index}, which is committed")

    def _elected(self, member: int, term: int, voting: Voting, disks: dict[int, Durable]) -> None:
        votes = (disks[voter].vote for voter in voting.voters if voter in disks)
        granted = sum(seen > term or (seen, vote) == (term, member) for seen, vote in votes)
        if len(voting.voters) > 1 and not _is_majority(granted, voting.voters):
            raise Violation(f"{granted} of {len(voting.voters)} have voted for {member} in term {term}")

    def logs(self, member: int, index: int, term: int, previous: int, command: bytes) -> None:
        """`previous`: term of the entry before."""
        first = self._entries.setdefault((index, term), (previous, command))
        if first != (previous, command):
            raise Violation(f"member {member} logs {command!r} at {index} in term {term}, where {first} was")
        self._logged_by.setdefault((index, term), set()).add(member)

    def loses_power(self, member: int, disk: Durable) -> None:
        """What it alone had logged and not synced never was. (In a cluster of one so may its vote.)"""
        for index, term in [key for key, members in self._logged_by.items() if members == {member}]:
            if not disk.holds(index, term):
                del self._logged_by[index, term], self._entries[index, term]

    def leader_commits(
        self, leader: int, entry: tuple[int, int], voting: Voting, disks: dict[int, Durable]
    ) -> None:
        """`entry`: (index, term); a leader only counts copies of entries of its own term. One that was removed
        goes on counting itself, and so one vote more.

        A cluster of one takes its own first entry for committed before it is synced; it says so to nobody.
        """
        index, term = entry
        voters = voting.voters | {leader}
        holders = sum(voter in disks and disks[voter].holds(index, term) for voter in voters)
        if len(voters) > 1 and not _is_majority(holders, voters):
            raise Violation(f"{holders} of {len(voters)} hold entry {index}, committed in term {term}")
        self._committed[term] = entry
        self.commit_index = max(self.commit_index, index)

    def follower_commits(self, member: int, index: int) -> None:
        if index > self.commit_index:
            raise Violation(f"member {member} takes entry {index} for committed, no leader committed it")

    def applies(self, member: int, after: int, index: int, term: int, commands: tuple[bytes, ...]) -> None:
        if index != after + 1:
            raise Violation(f"member {member} applies {index} after {after}")
        first = self._applied.setdefault(index, (term, commands))
        if first != (term, commands):
            raise Violation(f"member {member} applies {commands} (term {term}) at {index}, where {first} was")


def _is_majority(count: int, voters: Iterable[int]) -> bool:
    return count * 2 > len(frozenset(voters))
