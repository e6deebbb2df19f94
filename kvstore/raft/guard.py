"""The rules that make pysyncobj 0.3.17 safe, applied to each message before and after it (no I/O).

`incoming` sees what a peer sent before the library does, `outgoing` what the library sends before the
transport does. Stock, the library loses committed entries; each rule names the hazard it closes.

    A   an append deletes entries that match         strip the matching prefix, deliver only what is new
    B   replies carry no term                        stamp it, drop other terms
    D   a vote counted twice                         one per term and member
    E   snapshot messages trusted blindly            never delivered: snapshots travel out of band
    H   walking back one entry per probe             a reset always goes to the last entry known to agree
    L   large entries are pickled in pieces          never delivered; entries are smaller than a batch
    M   next index beyond the leader's log           clamp
    S3  a flood of messages when there is no dump    one bare heartbeat instead
    K   votes and replies of whoever sends them      only those of members count, votes only those of voters

Hazard C (sending before syncing) is the core's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from kvstore.raft.config import Voting
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import APPEND, APPEND_REPLY, TIMEOUT_NOW, VOTE, VOTE_REPLY, Message

log = logging.getLogger(__name__)


class State(Protocol):
    """What the rules look at."""

    @property
    def term(self) -> int: ...
    @property
    def commit_index(self) -> int: ...
    @property
    def applied_index(self) -> int: ...
    @property
    def voting(self) -> Voting: ...
    def replicates_to(self, peer: int) -> bool: ...


class Guard:
    def __init__(self, state: State, journal: WalJournal, need_snapshot: Callable[[int], None]) -> None:
        self._state, self._journal, self._need_snapshot = state, journal, need_snapshot
        self._votes: set[int] = set()
        self._votes_term = 0
        self._covered: int | None = None

    def incoming(self, peer: int, message: Message) -> Message | None:
        """The message to deliver, or None to drop it. Its shape has been checked."""
        kind = message["type"]
        if kind == APPEND:
            return self._append(message)
        if kind == APPEND_REPLY:
            return self._reply(message) if self._state.replicates_to(peer) else None
        if kind == VOTE_REPLY:
            return self._vote_reply(peer, message)
        return message if kind in (VOTE, TIMEOUT_NOW) else None

    def delivered(self) -> None:
        """The library is done with the message that `incoming` returned."""
        self._covered = None

    def outgoing(self, peer: int, message: Message) -> Message | None:
        kind = message["type"]
        if kind == APPEND:
            return self._outgoing_append(peer, message)
        if kind == APPEND_REPLY:
            return self._outgoing_reply(message)
        return message if kind in (VOTE, VOTE_REPLY, TIMEOUT_NOW) else None

    def _append(self, message: Message) -> Message | None:
        """Rule A. Entries up to the commit index agree by leader completeness, held or not."""
        journal, state = self._journal, self._state
        if message["term"] < state.term:
            return None
        if "prevLogIdx" not in message:
            self._covered = 0
            return {**message, "commit_index": min(message["commit_index"], state.commit_index)}
        previous: int = message["prevLogIdx"]
        if previous > journal.last.index or not self._agrees(previous, message["prevLogTerm"]):
            return message  # the library answers with a reset, which rule H rewrites
        entries = [tuple(entry) for entry in message["entries"]]
        covered = previous + len(entries)
        skip = 0
        while skip < len(entries) and self._agrees(entries[skip][1], entries[skip][2]):
            skip += 1
        new = entries[skip:]
        at = new[0][1] - 1 if new else journal.last.index
        if new and at < max(state.commit_index, state.applied_index):
            log.critical("an append contradicts the committed entry %d: refused", at + 1)
            return None
        self._covered = covered
        return {
            "type": APPEND,
            "term": message["term"],
            "commit_index": min(message["commit_index"], covered),
            "entries": new,
            "prevLogIdx": at,
            "prevLogTerm": journal.term_at(at),
        }

    def _agrees(self, index: int, term: int) -> bool:
        if index < self._journal.base.index:
            return True
        return self._journal.term_at(index) == term

    def _reply(self, message: Message) -> Message | None:
        """Rules B and M."""
        if message["term"] != self._state.term:
            return None
        end = self._journal.last.index + 1
        if message["next_node_idx"] <= end:
            return message
        if message["success"]:
            return None  # acknowledges what this leader does not have: not from its term
        return {**message, "next_node_idx": end}

    def _vote_reply(self, peer: int, message: Message) -> Message | None:
        """Rules D and K."""
        term = message["term"]
        if term != self._state.term or peer not in self._state.voting.voters:
            return None
        if term != self._votes_term:
            self._votes_term = term
            self._votes.clear()
        if peer in self._votes:
            return None
        self._votes.add(peer)
        return message

    def _outgoing_append(self, peer: int, message: Message) -> Message | None:
        """Rules E, L, M and S3."""
        if "transmission" in message:
            log.critical("an entry exceeds the batch size: not sent")
            return None
        if "serialized" in message:
            self._need_snapshot(peer)
            return {"type": APPEND, "term": message["term"], "commit_index": 0}
        if message["prevLogIdx"] is None:
            return None
        return message

    def _outgoing_reply(self, message: Message) -> Message:
        """Rules A (acknowledge what was covered, no more), B and H."""
        reply = {**message, "term": self._state.term}
        if message["reset"]:
            agreed = max(self._state.commit_index, self._state.applied_index)
            reply["next_node_idx"] = min(agreed, self._journal.last.index) + 1
        elif message["success"] and self._covered is not None:
            reply["next_node_idx"] = min(message["next_node_idx"], self._covered + 1)
        return reply
