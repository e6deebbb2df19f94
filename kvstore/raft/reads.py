"""Linearizable reads without the log: one quorum round confirms leadership for all reads waiting (no I/O).

The leader (1) waits until the entry at its commit index is of its own term, (2) records the commit index and
asks all members for their term, (3) with a quorum of equal terms, checks that it still leads in that term and
answers the recorded index. A read may only share a round that began after it arrived. Raft thesis, 6.4. (A follower's
question that says its term may be all the confirmation there has to be: `readindex`.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

Answer = Callable[[int], None]


@dataclass
class Round:
    number: int
    term: int
    index: int
    answers: list[Answer]
    acks: set[int] = field(default_factory=set)


class ReadRounds:
    """The leader's side."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: list[Answer] = []
        self._running: Round | None = None

    @property
    def pending(self) -> bool:
        return bool(self._waiting or self._running)

    def add(self, answer: Answer) -> None:
        self._waiting.append(answer)

    def begin(self, term: int, index: int) -> Round | None:
        """Start a round for all that wait; None if there is nothing to do (or a round is running)."""
        if self._running is not None or not self._waiting:
            return None
        self._number += 1
        self._running = Round(self._number, term, index, self._waiting)
        self._waiting = []
        return self._running

    def running(self) -> Round | None:
        return self._running

    def ack(self, peer: int, term: int, number: int) -> None:
        if self._running is not None and (self._running.term, self._running.number) == (term, number):
            self._running.acks.add(peer)

    def finish(self, term: int, others: Collection[int]) -> bool:
        """Answer the running round's reads if a quorum confirmed `term`, which is still this leader's.

        `others`: the voters beside this one."""
        done = self._running
        if done is None or done.term != term or not is_majority(done.acks, others):
            return False
        self._running = None
        for answer in done.answers:
            answer(done.index)
        return True

    def reset(self) -> None:
        """Leadership is gone: askers ask again, elsewhere."""
        self._waiting.clear()
        self._running = None


def is_majority(acks: Collection[int], others: Collection[int]) -> bool:
    """Whether the leader and `acks` are more than half of the leader and `others`, the voters beside it."""
    return len(set(acks) & set(others)) >= (len(others) + 1) // 2
