"""Commands on their way into the log, and what is known of their fate (no I/O).

A proposal is *queued* until it is put into an entry here (this member leads) or sent to the leader; then it
is *sent in term T*. It can enter the log only in term T: the leader refuses forwarded commands of another
term. So once any entry of a later term is applied here, a proposal of term T that was not seen applied is
provably not in the log and never will be; it is queued again, and its caller never learns of the failover.
Only where entries were not seen (a snapshot replaced them, or a connection that carried the command was
cut within a term) the outcome stays unknown and the caller is told so: `LeaderChanged`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import cbor2

from kvstore.errors import LeaderChanged, NoLeader, RequestTimeout, StoreError

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 << 20


@dataclass(eq=False, slots=True)
class Proposal:
    id: int
    command: bytes
    future: asyncio.Future[object]
    deadline: float
    change: bool = False  # of the members: an entry of its own
    term: int = 0  # of the leader it was given to; 0: queued


class Remote(NamedTuple):
    """A command that another member forwarded, in a term."""

    term: int
    member: int
    id: int
    command: bytes


class Proposals:
    """`nonce`: random for each start, so that no entry of an earlier life answers a proposal of this one."""

    def __init__(self, member_id: int, nonce: int, max_entry_bytes: int) -> None:
        self._member_id, self._max_entry_bytes = member_id, max_entry_bytes
        self._next_id = nonce << 32
        self._waiting: dict[int, Proposal] = {}
        self._queue: deque[Proposal] = deque()
        self._changes: deque[Proposal] = deque()
        self._remote: deque[Remote] = deque()
        self._remote_changes: deque[Remote] = deque()
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES

    @property
    def queued(self) -> bool:
        """Whether commands wait (changes of the members may have to wait for each other)."""
        return bool(self._queue or self._remote)

    def add(
        self, command: bytes, future: asyncio.Future[object], deadline: float, *, change: bool = False
    ) -> None:
        self._next_id += 1
        proposal = Proposal(self._next_id, command, future, deadline, change)
        self._waiting[proposal.id] = proposal
        self._enqueue(proposal)
        self._bytes += len(command)

    def add_remote(self, term: int, member: int, commands: list[list[Any]], *, change: bool = False) -> None:
        queue = self._remote_changes if change else self._remote
        queue.extend(Remote(term, member, id_, command) for id_, command in commands)

    def next_entry(self, term: int) -> bytes | None:
        """One entry's payload out of all that is queued, as far as it fits; for a leader of `term`."""
        batch: list[tuple[int, int, bytes]] = []
        room = self._max_entry_bytes - (32 << 10)
        while self._remote and room > 0:
            sent_in, member, id_, command = self._remote[0]
            if sent_in != term or (batch and len(command) + 32 > room):
                break
            self._remote.popleft()
            batch.append((member, id_, command))
            room -= len(command) + 32
        while room > 0 and (proposal := self._peek(self._queue)) is not None:
            if batch and len(proposal.command) + 32 > room:
                break
            self._queue.popleft()
            proposal.term = term
            batch.append((self._member_id, proposal.id, proposal.command))
            room -= len(proposal.command) + 32
        return cbor2.dumps(batch) if batch else None

    def next_change(self, term: int) -> bytes | None:
        """The payload of an entry that changes the members, for a leader of `term`."""
        if self._remote_changes and self._remote_changes[0].term == term:
            _, member, id_, command = self._remote_changes.popleft()
            return cbor2.dumps([(member, id_, command)])
        proposal = self._peek(self._changes)
        if proposal is None:
            return None
        self._changes.popleft()
        proposal.term = term
        return cbor2.dumps([(self._member_id, proposal.id, proposal.command)])

    def take_for(self, term: int, limit: int = 1 << 20, *, change: bool = False) -> list[list[object]]:
        """[id, command] of what is queued, to be forwarded to the leader of `term`."""
        queue = self._changes if change else self._queue
        taken: list[list[object]] = []
        while limit > 0 and (proposal := self._peek(queue)) is not None:
            queue.popleft()
            proposal.term = term
            taken.append([proposal.id, proposal.command])
            limit -= len(proposal.command) + 32
        return taken

    def refuse_remote(self, term: int) -> dict[tuple[int, int], list[int]]:
        """Forwarded commands that were not put into an entry in their own term: {(member, term): ids}."""
        refused: dict[tuple[int, int], list[int]] = {}
        for queue in (self._remote, self._remote_changes):
            if all(item.term == term for item in queue):
                continue
            for item in queue:
                if item.term != term:
                    refused.setdefault((item.member, item.term), []).append(item.id)
            kept = [item for item in queue if item.term == term]
            queue.clear()
            queue.extend(kept)
        return refused

    def requeue(self, term: int, ids: list[int]) -> None:
        """What was sent in `term` is not in the log and never will be."""
        for id_ in ids:
            proposal = self._waiting.get(id_)
            if proposal is not None and proposal.term == term:
                proposal.term = 0
                self._enqueue(proposal)

    def resolve(self, id_: int, result: object) -> None:
        proposal = self._waiting.get(id_)
        if proposal is not None and self._drop(proposal):
            proposal.future.set_result(result)

    def applied_term(self, term: int) -> None:
        """An entry of `term` was applied: what was sent in an earlier one is provably lost, so try again."""
        for proposal in self._waiting.values():
            if 0 < proposal.term < term:
                proposal.term = 0
                self._enqueue(proposal)

    def fail_sent(self, term: int | None = None) -> None:
        """The fate of what was sent (in `term`, or at all) can no longer be observed."""
        for proposal in [p for p in self._waiting.values() if p.term and term in (None, p.term)]:
            self._fail(proposal, LeaderChanged())

    def fail_all(self, error: type[StoreError]) -> None:
        for proposal in list(self._waiting.values()):
            self._fail(proposal, error())
        self._queue.clear()
        self._changes.clear()

    def expire(self, now: float, has_leader: bool) -> None:
        for proposal in [p for p in self._waiting.values() if p.deadline <= now or p.future.done()]:
            queued = proposal.term == 0
            self._fail(proposal, NoLeader() if queued and not has_leader else RequestTimeout())

    def _enqueue(self, proposal: Proposal) -> None:
        (self._changes if proposal.change else self._queue).append(proposal)

    def _peek(self, queue: deque[Proposal]) -> Proposal | None:
        """The first proposal in the queue whose caller still waits."""
        while queue:
            if queue[0].id in self._waiting and not queue[0].future.done():
                return queue[0]
            queue.popleft()
        return None

    def _drop(self, proposal: Proposal) -> bool:
        """Forget it; whether its caller still waits."""
        del self._waiting[proposal.id]
        self._bytes -= len(proposal.command)
        return not proposal.future.done()

    def _fail(self, proposal: Proposal, error: StoreError) -> None:
        if self._drop(proposal):
            proposal.future.set_exception(error)
