"""When a member may stand for election: pre-vote and the lease of a living leader (no I/O).

The library campaigns as soon as its deadline has passed, which raises the term and so deposes whoever leads.
`kvstore.raft.core` therefore asks `Election.may_campaign` first. It lets a campaign begin once a majority has
answered a *pre-vote*: "your log is as good as mine, and I hear no leader either". A member hears a leader if it
has had an append within one election timeout and still has a connection to it: a leader whose process died is
gone at once, not only after the timeout. Nothing is changed by asking, so a member that returns from a
partition or a long pause, and one that was removed, disturbs nobody.

Of two members that ask at the same time with equal logs only the one with the larger id goes on, so votes are
hardly ever split. A transfer of leadership (TIMEOUT_NOW) needs no pre-vote: its votes are `forced`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from kvstore.raft.config import Voting
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import PRE_VOTE, PRE_VOTE_REPLY, Message


class State(Protocol):
    """The node, as far as it matters here."""

    voting: Voting

    @property
    def term(self) -> int: ...
    @property
    def is_leader(self) -> bool: ...
    @property
    def leader_id(self) -> int | None: ...
    @property
    def connected(self) -> set[int]: ...
    def campaign_at(self, when: float) -> None: ...
    def put_off(self, when: float) -> None: ...
    def adopt_term(self, term: int) -> None: ...


class Election:
    """`hold` sends a message once what was written before it is on disk."""

    def __init__(
        self,
        member_id: int,
        state: State,
        journal: WalJournal,
        hold: Callable[[int, Message], None],
        *,
        heartbeat: float,
        election: float,
        rng: random.Random,
        clock: Callable[[], float],
        pre_vote: bool = True,
    ) -> None:
        self._id, self._state, self._journal, self._hold = member_id, state, journal, hold
        self._heartbeat, self._timeout, self._rng, self._clock = heartbeat, election, rng, clock
        self.pre_vote = pre_vote
        self._heard_at = float("-inf")
        self._round = 0
        self._asked_in: tuple[int, int] | None = None  # (term, last index) of the round that runs
        self._started_at = self._sent_at = 0.0
        self._granted: set[int] = set()
        self._failures = 0
        self.forced = False

    # The leader.

    def heard_leader(self) -> None:
        """An append of the current leader arrived."""
        self._heard_at = self._clock()
        self._failures = 0
        self._asked_in = None

    @property
    def leader_lives(self) -> bool:
        """Whether there is a leader that no other member should replace, as far as this one knows."""
        state = self._state
        if state.is_leader:
            return True
        leader = state.leader_id
        return leader in state.connected and self._clock() - self._heard_at < self._timeout

    # The candidate.

    def may_campaign(self) -> bool:
        """Asked at every tick since the deadline has passed; starts (or repeats) a pre-vote if there is need."""
        if self.forced or not self.pre_vote or len(self._state.voting.voters) == 1:
            return True
        position = (self._state.term, self._journal.last.index)
        now = self._clock()
        if self._asked_in != position or now - self._started_at > self._timeout:
            self._begin(position, now)
        elif self._is_majority():
            return True
        elif now - self._sent_at >= self._heartbeat:
            self._ask(now)
        return False

    def campaigned(self) -> None:
        """A campaign has begun. With no leader about, the next attempt need not wait for a whole timeout."""
        self._asked_in = None
        self.forced = False
        self._failures += 1
        delay = self._heartbeat * (2.0 + 3.0 * self._rng.random()) * 2 ** min(self._failures - 1, 10)
        self._state.campaign_at(self._clock() + min(delay, self._timeout * (1.0 + self._rng.random())))

    def on_reply(self, peer: int, message: Message) -> None:
        """A higher term than ours means that our votes would be ignored: catch up first."""
        if message["term"] > self._state.term:
            self._state.adopt_term(message["term"])
        elif message["granted"] and self._asked_in is not None and message["round"] == self._round:
            self._granted.add(peer)

    def _begin(self, position: tuple[int, int], now: float) -> None:
        self._round += 1
        self._asked_in, self._started_at = position, now
        self._granted.clear()
        self._ask(now)

    def _ask(self, now: float) -> None:
        self._sent_at = now
        last = self._journal.last
        message = {"type": PRE_VOTE, "term": self._state.term, "round": self._round}
        for peer in sorted(self._state.connected & self._state.voting.voters):
            if peer not in self._granted:
                self._hold(peer, {**message, "last_log_index": last.index, "last_log_term": last.term})

    def _is_majority(self) -> bool:
        voters = self._state.voting.voters
        return (len(self._granted & voters) + 1) * 2 > len(voters)

    # The voter.

    def on_request(self, peer: int, message: Message) -> None:
        granted = self._grants(peer, message)
        if granted:
            self._asked_in = None
            self._state.put_off(self._clock() + self._heartbeat * (2.0 + 3.0 * self._rng.random()))
        reply = {"type": PRE_VOTE_REPLY, "term": self._state.term, "round": message["round"]}
        self._hold(peer, {**reply, "granted": granted})

    def _grants(self, peer: int, message: Message) -> bool:
        last = self._journal.last
        theirs, ours = (message["last_log_term"], message["last_log_index"]), (last.term, last.index)
        if message["term"] < self._state.term or theirs < ours or self.leader_lives:
            return False
        competing = self._asked_in is not None and theirs == ours
        competing = competing and self._clock() - self._started_at < 3 * self._heartbeat
        return not (competing and peer < self._id)
