"""Each measure of docs/raft.md and each promise of a watch, and how to do without it.

`python -m tests.simulation --without NAME` finds seeds. `SEEDS` names one for each that fails without it;
`test_mutations` holds that, and that it passes with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from kvstore.raft.config import Voting
from kvstore.raft.core import Core
from kvstore.raft.guard import Guard
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import READ, READ_ACK, Message
from kvstore.raft.node import RaftNode
from kvstore.raft.proposals import Proposals
from kvstore.raft.readindex import ReadIndex
from kvstore.types import Event
from kvstore.watch.hub import Source, Watcher, WatchHub
from tests.simulation.conditions import CHANGING, SPLIT
from tests.simulation.member import Member

Replacement = tuple[type, str, Any]


def _raw(guard: Guard, message: Message) -> Message:
    return message


def _raw_from(guard: Guard, peer: int, message: Message) -> Message:
    return message


def _reply_as_it_is(guard: Guard, message: Message) -> Message:
    return {**message, "term": guard._state.term}


def _reply_without_cap(guard: Guard, message: Message) -> Message:
    covered, guard._covered = guard._covered, None
    try:
        return _OUTGOING_REPLY(guard, message)
    finally:
        guard._covered = covered


def _everything_early(core: Core) -> list[tuple[int, Message]]:
    messages, core._early, core._held = core._early + core._held, [], []
    return messages


def _acknowledge_any_term(reads: ReadIndex, peer: int, message: Message) -> None:
    if message["type"] == READ:
        reads._send([(peer, {**message, "type": READ_ACK})])
    else:
        _RECEIVED(reads, peer, message)


def _any_change(core: Core) -> bytes | None:
    return core.proposals.next_change(core.node.term)


def _reset_without_record(journal: WalJournal, index: int, term: int) -> None:
    _RESET(journal, index, term)
    journal._pending.pop()


def _votes_go_on(node: RaftNode, voting: Voting, now: float) -> None:
    votes = node.__dict__.get("_SyncObj__votesCount")
    _SET_VOTING(node, voting, now)
    node._put("votesCount", votes)


def _forget_what_is_owed(hub: WatchHub, source: Source) -> None:
    hub._source, hub.published = source, source.revision


def _slice_anywhere(hub: WatchHub, chosen: list[Watcher]) -> tuple[list[Event], int]:
    history = hub._source.changes(chosen[0].next_revision, hub.published + 1, prev_kv=True)
    events = list(itertools.islice(history, 3))
    return events, events[-1].kv.mod_revision if events else hub.published


_SET_VOTING: Callable[[RaftNode, Voting, float], None] = RaftNode.set_voting
_RESET: Callable[[WalJournal, int, int], None] = WalJournal.reset
_OUTGOING_REPLY: Callable[[Guard, Message], Message] = Guard._outgoing_reply
_RECEIVED: Callable[[ReadIndex, int, Message], None] = ReadIndex.received

MUTATIONS: dict[str, Replacement] = {
    "A: strip the matching prefix of an append": (Guard, "_append", _raw),
    "A: acknowledge no more than was covered": (Guard, "_outgoing_reply", _reply_without_cap),
    "B: drop replies of another term": (Guard, "_reply", _raw),
    "C: hold promises until they are on disk": (Core, "take_early", _everything_early),
    "D: one vote for each term and member": (Guard, "_vote_reply", _raw_from),
    "H: a reset goes to the last entry known to agree": (Guard, "_outgoing_reply", _reply_as_it_is),
    "reads: only with an entry of the own term": (Core, "own_term_committed", property(lambda core: True)),
    "reads: peers answer in the asked term only": (ReadIndex, "received", _acknowledge_any_term),
    "members: one change at a time, and in the own term": (Core, "next_change", _any_change),
    "members: who has not applied a change does not campaign": (
        Core,
        "_knows_unapplied_change",
        lambda core: False,
    ),
    "members: a later change shows that the earlier is committed": (
        Core,
        "_learn_commit",
        lambda core: None,
    ),
    "members: votes of other voters do not count": (RaftNode, "set_voting", _votes_go_on),
    "members: saved before anybody hears of it": (Member, "save_members", lambda member: None),
    "snapshots: appends go on behind what is installed": (WalJournal, "reset", _reset_without_record),
    "proposals: forwarded commands count in their term only": (
        Proposals,
        "refuse_remote",
        lambda self, term: {},
    ),
    "watches: what a snapshot skips is owed": (WatchHub, "reset", _forget_what_is_owed),
    "watches: a stream with room again is fed again": (WatchHub, "revive", lambda hub, watchers: None),
    "watches: revisions are sent whole": (WatchHub, "_slice", _slice_anywhere),
}

SEEDS: dict[str, int] = {
    "A: strip the matching prefix of an append": 19,
    "A: acknowledge no more than was covered": SPLIT + 3021,
    "B: drop replies of another term": SPLIT + 380,
    "C: hold promises until they are on disk": 0,
    "D: one vote for each term and member": 119,
    "H: a reset goes to the last entry known to agree": SPLIT + 132,
    "reads: only with an entry of the own term": 4,
    "reads: peers answer in the asked term only": 54,
    "members: one change at a time, and in the own term": 2,
    "members: who has not applied a change does not campaign": CHANGING + 421,
    "members: a later change shows that the earlier is committed": CHANGING + 425,
    "members: votes of other voters do not count": 42339,
    "members: saved before anybody hears of it": 423,
    "snapshots: appends go on behind what is installed": 38,
    "proposals: forwarded commands count in their term only": 24,
    "watches: what a snapshot skips is owed": 9,
    "watches: a stream with room again is fed again": 0,
    "watches: revisions are sent whole": 0,
}
"""From `SPLIT` and `CHANGING` on: conditions under which the measure is needed more often (`conditions`)."""


@contextmanager
def without(name: str) -> Iterator[None]:
    owner, attribute, replacement = MUTATIONS[name]
    with patch.object(owner, attribute, replacement):
        yield
