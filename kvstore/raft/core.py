"""One member's Raft without sockets, threads or asyncio: node, journal, guard and outbox tied together.

The engine (and the simulation) drives it in rounds, one after another, never two at a time:

    deliver(...)*  ->  tick()  ->  send take_early()  ->  sync journal.take_batch()  ->  send take_held()

*Held* messages speak of what must be on disk first (votes, acknowledgements). *Early* ones are a leader's
appends: they may leave beside its own sync, because the replies they cause are only looked at in the next
round, after it (Ongaro's thesis, section 10.2.1). Forwarded commands promise nothing and are early, too.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from kvstore.raft.config import Voting
from kvstore.raft.election import Election
from kvstore.raft.guard import Guard
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import (
    APPEND,
    APPEND_REPLY,
    CHANGE,
    COMMIT,
    COMMITTED,
    FORWARD,
    FORWARD_CHANGE,
    FORWARD_REFUSED,
    NEWER_TERM,
    NO_OP,
    TIMEOUT_NOW,
    VOTE,
    Message,
    commands_of,
    fault,
)
from kvstore.raft.node import Clock, RaftNode, library_clock
from kvstore.raft.proposals import Proposals

log = logging.getLogger(__name__)

APPLY_SECONDS = 0.01  # of one round spent on applying; the rest of a backlog waits for the next rounds


class Machine(Protocol):
    """The part of `StateMachine` that the core calls."""

    def applied(self) -> tuple[int, int]: ...
    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]: ...
    def voting(self) -> Voting | None: ...


class Core:
    """`on_snapshot_needed(peer)`: that member's next entry is no longer held here."""

    def __init__(
        self,
        member_id: int,
        voting: Voting,
        journal: WalJournal,
        machine: Machine,
        proposals: Proposals,
        *,
        heartbeat: float,
        election: float,
        max_entry_bytes: int,
        rng: random.Random,
        on_snapshot_needed: Callable[[int], None],
        clock: Clock = library_clock,
        pre_vote: bool = True,
        blank: bool = False,
        apply_seconds: float = APPLY_SECONDS,
    ) -> None:
        self.journal, self.machine, self.proposals = journal, machine, proposals
        self._member_id, self._clock, self._heartbeat, self._rng = member_id, clock, heartbeat, rng
        self.blank, self._apply_seconds = blank, apply_seconds
        self._round_term = journal.getCurrentTerm()
        self._early: list[tuple[int, Message]] = []
        self._held: list[tuple[int, Message]] = []
        self._outbox_heartbeats: set[int] = set()
        applied, self._applied_term = machine.applied()
        self._on_snapshot_needed = on_snapshot_needed
        self.snapshotting: set[int] = set()
        self.paused = False
        self.members_changed = False  # since the engine looked
        self._served: set[int] = set()  # members whose commands the last tick applied
        self.node = RaftNode(
            member_id,
            voting,
            journal,
            self,
            applied=applied,
            heartbeat=heartbeat,
            election=election,
            max_entry_bytes=max_entry_bytes,
            rng=rng,
        )
        self._guard = Guard(self.node, journal, on_snapshot_needed)
        self.election = Election(
            member_id,
            self.node,
            journal,
            self.hold,
            heartbeat=heartbeat,
            election=election,
            rng=rng,
            clock=clock,
            pre_vote=pre_vote,
        )
        self._learn_commit()
        if voting.voters == {member_id}:
            self.node.campaign_at(0.0)

    # Driven by the engine.

    def deliver(self, peer: int, message: Message) -> None:
        """A Raft message from a known member."""
        what = fault(message)
        if what is not None:
            log.warning("dropped a message from member %x: %s", peer, what)
            return
        self.accept(peer, message)

    def accept(self, peer: int, message: Message) -> None:
        """As `deliver`, of a message whose shape was checked."""
        if not self._own(peer, message):
            self._library(peer, message)

    def _own(self, peer: int, message: Message) -> bool:
        """Handle what is no message of the library's."""
        match message["type"]:
            case "forward" | "forward_change":
                change = message["type"] == FORWARD_CHANGE
                self.proposals.add_remote(message["term"], peer, message["commands"], change=change)
            case "forward_refused":
                self.proposals.requeue(message["term"], message["ids"])
            case "pre_vote":
                self.election.on_request(peer, message)
                self._tell_candidate(peer)
            case "pre_vote_reply":
                self.election.on_reply(peer, message)
            case "newer_term":
                self.node.adopt_term(message["term"])
            case "commit":
                self._on_commit(peer, message)
            case "committed":
                self._on_committed(message["index"], message["entry_term"])
            case "alive":
                if message["term"] == self.node.term:
                    self.node.heard_from(peer, self._clock())
            case _:
                return False
        return True

    def _on_commit(self, peer: int, message: Message) -> None:
        """Entries of one index and term are the same, and so is all before them."""
        if message["term"] == self.node.term and peer == self.node.leader_id:
            self._on_committed(message["index"], message["term"])

    def _on_committed(self, index: int, entry_term: int) -> None:
        if self.journal.term_at(index) == entry_term:
            self.node.committed(index)

    def _tell_candidate(self, peer: int) -> None:
        """It may not know yet that a change of the members is committed, and so ask too many."""
        index = self.node.commit_index
        entry_term = self.journal.term_at(index)
        if entry_term is not None:
            self.hold(peer, {"type": COMMITTED, "index": index, "entry_term": entry_term})

    def _learn_commit(self) -> None:
        """A change of members is proposed only when the one before it is applied: so that one is committed.

        A member that does not know that (it was started again) would count the wrong majority.
        """
        if len(self.journal.changes) > 1:
            self.node.committed(self.journal.changes[-2])

    def _library(self, peer: int, message: Message) -> None:
        if message["type"] == APPEND:
            if message["term"] < self.node.term:
                self._held.append((peer, {"type": NEWER_TERM, "term": self.node.term}))
                return
            self.election.heard_leader()
        elif message["type"] == TIMEOUT_NOW and peer == self.node.leader_id:
            self.election.forced = True
        elif message["type"] == VOTE and self._disturbs(message):
            return
        allowed = self._guard.incoming(peer, message)
        if allowed is None:
            return
        if self.blank and allowed["type"] == APPEND:
            allowed = {key: allowed[key] for key in ("type", "term")} | {"commit_index": 0}
            self.hold(peer, self._snapshot_please())
        self.node.deliver(peer, allowed)
        if not self.blank and allowed["type"] == APPEND and "prevLogIdx" not in allowed:
            # Answered so that the leader does not count this member as silent while it gets a snapshot.
            self.send(peer, {"type": "next_node_idx", "next_node_idx": 0, "reset": False, "success": False})
        self._guard.delivered()
        self._learn_commit()

    def _disturbs(self, message: Message) -> bool:
        """Whether a vote is asked for although there is a leader: by a member that slept since its pre-vote."""
        asked = message.get("forced") is not True and message["term"] > self.node.term
        return asked and self.election.pre_vote and self.election.leader_lives

    def tick(self) -> None:
        self._outbox_heartbeats.clear()
        self._served.clear()
        self._refuse()
        term = self.node.term
        self.node.doTick(0)
        if self.node.term != term and not self.node.is_leader:
            self.election.campaigned()
        self._forward()

    @property
    def is_due(self) -> bool:
        """Whether the clock alone asks for a tick; anything else wakes the engine when it happens."""
        return self.backlog or self.node.is_due(self._clock())

    @property
    def is_voter(self) -> bool:
        return self._member_id in self.node.voting.voters

    @property
    def is_removed(self) -> bool:
        return self._member_id not in self.node.voting.voters | self.node.voting.learners

    def take_early(self) -> list[tuple[int, Message]]:
        """Asked once in a round. A leader elected in this round by itself alone has its vote not yet on disk: it
        could forget it, and send other entries in the same term."""
        early, self._early = self._early, []
        durable_term, self._round_term = self._round_term, self.node.term
        if durable_term != self.node.term:
            self._held = early + self._held
            return []
        return early

    def can_wait(self, peer: int, message: Message) -> bool:
        """Whether this message of the round may leave behind the answers to this member's own clients: word of what is
        committed, to a member none of whose clients waits for it. It stays true, so it may be late, and get lost."""
        return message["type"] == COMMIT and self._member_id in self._served and peer not in self._served

    def take_held(self) -> list[tuple[int, Message]]:
        held, self._held = self._held, []
        return held

    def signs_of_life(self) -> list[tuple[int, Message]]:
        """What a leader says while its disk is slow; nothing that depends on what is on its way there."""
        if not self.node.is_leader:
            return []
        message = {"type": APPEND, "term": self.node.term, "commit_index": 0}
        return [(peer, message) for peer in sorted(self.node.others & self.node.connected)]

    def hold(self, peer: int, message: Message) -> None:
        """Send when this round's changes are on disk."""
        self._held.append((peer, message))

    def connected(self, peer: int) -> None:
        """At start a member does not wait out a whole timeout: all may have been started together."""
        self.node.set_connected(peer, True)
        if self.node.leader_id is None and not self.node.is_leader:
            self.node.campaign_at(self._soon())

    def disconnected(self, peer: int) -> None:
        """The leader's connection is gone: most likely its process is. Its heartbeats would undo this."""
        self.node.set_connected(peer, False)
        self._early = [item for item in self._early if item[0] != peer]
        self._held = [item for item in self._held if item[0] != peer]
        self.snapshotting.discard(peer)
        if self.node.leader_id == peer:
            self.node.campaign_at(self._soon())

    @property
    def backlog(self) -> bool:
        """Whether committed entries wait to be applied."""
        return self.node.commit_index > self.node.applied_index

    @property
    def has_room(self) -> bool:
        """At most two entries in flight: more only makes them smaller."""
        return not self.paused and self.node.commit_index >= self.journal.last.index - 1

    @property
    def own_term_committed(self) -> bool:
        """Whether the commit index is this leader's to vouch for (read index, rule 1)."""
        return self.journal.term_at(self.node.commit_index) == self.node.term

    def snapshot_installed(self, index: int, term: int) -> None:
        """The applied state was replaced: align the log with it. A log that holds the entry is kept."""
        if self.journal.term_at(index) == term:
            self.journal.forget_before(index)
        else:
            self.journal.reset(index, term)
        self.node.restart_from(index)
        self.blank = False
        self.proposals.fail_sent()
        self._members_changed()

    def peer_has(self, peer: int, index: int) -> None:
        """A member confirmed that its applied state reaches `index`: go on from there."""
        self.snapshotting.discard(peer)
        reply = {"type": "next_node_idx", "next_node_idx": index + 1, "reset": True, "success": True}
        self.deliver(peer, {**reply, "term": self.node.term})

    def _refuse(self) -> None:
        """Forwarded commands may enter the log only in the term in which they were forwarded."""
        term = self.node.term if self.node.is_leader else -1
        for (member, sent_in), ids in self.proposals.refuse_remote(term).items():
            self._early.append((member, {"type": FORWARD_REFUSED, "term": sent_in, "ids": ids}))

    def _forward(self) -> None:
        leader, term = self.node.leader_id, self.node.term
        if self.node.is_leader or leader is None or leader not in self.node.connected or self.blank:
            return  # what is sent before a snapshot replaces the state could not be followed
        while commands := self.proposals.take_for(term):
            self._early.append((leader, {"type": FORWARD, "term": term, "commands": commands}))
        while commands := self.proposals.take_for(term, change=True):
            self._early.append((leader, {"type": FORWARD_CHANGE, "term": term, "commands": commands}))

    # Called by the node (`kvstore.raft.node.Driver`).

    def send(self, peer: int, message: Message) -> None:
        allowed = self._guard.outgoing(peer, message)
        if allowed is None:
            return
        if allowed["type"] == VOTE and self.election.forced:
            allowed = {**allowed, "forced": True}
        if allowed["type"] != APPEND:
            self._held.append((peer, allowed))
            return
        if peer in self.snapshotting:
            if peer in self._outbox_heartbeats:
                return
            self._outbox_heartbeats.add(peer)
            allowed = {"type": APPEND, "term": allowed["term"], "commit_index": 0}
        self._early.append((peer, allowed))

    def apply_committed(self) -> bool:
        index, end = self.node.applied_index + 1, self.node.commit_index
        if index > end:
            return False
        stop_at = self._clock() + self._apply_seconds
        while index <= end:
            self._apply(index)
            index += 1
            if self._clock() > stop_at:
                break
        # With commands waiting, the next entry carries the commit index to the others anyway.
        if self.node.is_leader and not self.proposals.queued:
            self._tell_commit()
        return False

    def _tell_commit(self) -> None:
        """In few bytes, and without the answer that an append has."""
        message = {"type": COMMIT, "term": self.node.term, "index": self.node.commit_index}
        for peer in sorted(self.node.others & self.node.connected - self.snapshotting):
            self._early.append((peer, message))

    def next_entry(self) -> bytes | None:
        return self.proposals.next_entry(self.node.term) if self.has_room else None

    def next_change(self) -> bytes | None:
        """One change of the members at a time, and none before this leader's own term is committed: else two
        leaders could count different majorities (Ongaro's correction of 2015)."""
        pending = self.journal.changes and self.journal.changes[-1] > self.node.applied_index
        if self.paused or pending or not self.own_term_committed:
            return None
        return self.proposals.next_change(self.node.term)

    def may_campaign(self) -> bool:
        """Asked in every tick as soon as the election deadline has passed."""
        if not self.is_voter or self.blank or self._knows_unapplied_change():
            return False
        return self.election.may_campaign()

    def _knows_unapplied_change(self) -> bool:
        """Who does not know yet who votes must not count votes."""
        applied, committed = self.node.applied_index, self.node.commit_index
        return any(applied < index <= committed for index in self.journal.changes)

    def _snapshot_please(self) -> Message:
        """What a member without any state says to appends: an index that no leader's log begins before."""
        answer = {"type": APPEND_REPLY, "next_node_idx": 0, "reset": True, "success": False}
        return {**answer, "term": self.node.term}

    def _apply(self, index: int) -> None:
        entry = self.journal.entry(index)
        kind = entry.command[:1]
        if kind == NO_OP:
            self.machine.apply(index, entry.term, [])
        else:
            self._apply_commands(entry.command[1:], index, entry.term)
        self.node.applied_index = index
        if kind == CHANGE:
            self._members_changed()
        if entry.term != self._applied_term:
            self._applied_term = entry.term
            self.proposals.applied_term(entry.term)

    def _members_changed(self) -> None:
        self.members_changed = True
        voting = self.machine.voting()
        if voting is not None and voting != self.node.voting:
            self.node.set_voting(voting, self._clock())
            if self.is_removed and self.node.is_leader:
                self.paused = True

    def _apply_commands(self, payload: bytes, index: int, term: int) -> None:
        batch = commands_of(payload)
        if batch is None:
            log.critical("entry %d holds no commands: nothing is done, by any member", index)
            batch = []
        results = self.machine.apply(index, term, [command for _, _, command in batch])
        for (member, id_, _), result in zip(batch, results, strict=True):
            self._served.add(member)
            if member == self._member_id:
                self.proposals.resolve(id_, result)

    def _soon(self) -> float:
        return self._clock() + self._heartbeat * (0.5 + 1.5 * self._rng.random())
