"""One table for each rule of the guard."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kvstore.raft.config import Voting
from kvstore.raft.files import OsFiles
from kvstore.raft.guard import Guard
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import fault
from kvstore.raft.wal import Wal


@dataclass
class State:
    term: int = 5
    commit_index: int = 3
    applied_index: int = 3
    voting: Voting = field(default_factory=lambda: Voting(frozenset({1, 2, 3})))

    def replicates_to(self, peer: int) -> bool:
        return peer in (2, 3)


class Bench:
    """A log of entries 1..6 with terms 1 1 2 | 3 3 4, committed up to 3."""

    def __init__(self, directory: Path) -> None:
        self.journal = WalJournal(Wal(OsFiles(directory, fsync=False), cluster_id=1, member_id=1))
        self.journal.open((0, 0))
        for index, term in enumerate((1, 1, 2, 3, 3, 4), 1):
            self.journal.add(b"\x00", index, term)
        self.state = State()
        self.snapshots: list[int] = []
        self.guard = Guard(self.state, self.journal, self.snapshots.append)

    def append(
        self, previous: int, previous_term: int, *terms: int, commit: int = 0
    ) -> dict[str, Any] | None:
        entries = [[b"\x00", index, term] for index, term in enumerate(terms, previous + 1)]
        message = {"type": "append_entries", "term": 5, "commit_index": commit, "entries": entries}
        return self.guard.incoming(2, {**message, "prevLogIdx": previous, "prevLogTerm": previous_term})

    def reply(self, **fields: object) -> dict[str, Any]:
        message = {"type": "next_node_idx", "next_node_idx": 7, "reset": False, "success": True, **fields}
        reply = self.guard.outgoing(2, message)
        assert reply is not None
        return reply


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("previous", "terms", "delivered", "acknowledged"),
    [
        ((6, 4), (), (6, []), 7),
        ((6, 4), (5, 5), (6, [7, 8]), 9),
        ((2, 1), (2, 3), (6, []), 5),  # all held: nothing behind them is touched
        ((2, 1), (2, 3, 3, 4, 5), (6, [7]), 8),  # the held prefix is stripped
        ((3, 2), (5,), (3, [4]), 5),  # a conflict behind the commit index replaces
        ((3, 2), (3, 5, 5), (4, [5, 6]), 7),
    ],
)
def test_a_append_delivers_only_what_is_new(
    bench: Bench,
    previous: tuple[int, int],
    terms: tuple[int, ...],
    delivered: tuple[int, list[int]],
    acknowledged: int,
) -> None:
    message = bench.append(*previous, *terms)
    assert message is not None
    assert (message["prevLogIdx"], [entry[1] for entry in message["entries"]]) == delivered
    assert message["prevLogTerm"] == bench.journal.term_at(message["prevLogIdx"])
    assert bench.reply(next_node_idx=99)["next_node_idx"] == acknowledged
    bench.guard.delivered()
    assert bench.reply(next_node_idx=99)["next_node_idx"] == 99


def test_a_commit_index_covers_only_what_the_append_speaks_of(bench: Bench) -> None:
    message = bench.append(2, 1, 2, commit=6)
    assert message is not None
    assert message["commit_index"] == 3


def test_a_append_that_contradicts_a_committed_entry_is_refused(bench: Bench) -> None:
    assert bench.append(1, 1, 4, 4) is None


def test_a_append_of_an_older_term_is_dropped(bench: Bench) -> None:
    bench.state.term = 6
    assert bench.append(6, 4) is None


def test_a_entries_before_the_window_count_as_held(bench: Bench) -> None:
    bench.journal.forget_before(3)
    message = bench.append(1, 99, 1, 2, 3)
    assert message is not None
    assert message["entries"] == []
    assert bench.reply()["next_node_idx"] == 5


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"term": 4}, None),
        ({"term": 6}, None),
        ({"next_node_idx": 7}, 7),
        ({"next_node_idx": 8}, None),
        ({"next_node_idx": 8, "success": False, "reset": True}, 7),
    ],
)
def test_b_m_replies_of_other_terms_and_beyond_the_log(
    bench: Bench, fields: dict[str, object], expected: int | None
) -> None:
    message = {"type": "next_node_idx", "term": 5, "next_node_idx": 7, "reset": False, "success": True}
    allowed = bench.guard.incoming(2, {**message, **fields})
    assert (allowed and allowed["next_node_idx"]) == expected


def test_b_replies_carry_the_term(bench: Bench) -> None:
    assert bench.reply()["term"] == 5


def test_d_one_vote_for_each_term_and_member(bench: Bench) -> None:
    vote = {"type": "response_vote", "term": 5}
    assert bench.guard.incoming(2, vote) == vote
    assert bench.guard.incoming(2, vote) is None
    assert bench.guard.incoming(3, vote) == vote
    bench.state.term = 6
    assert bench.guard.incoming(2, vote) is None
    assert bench.guard.incoming(2, {**vote, "term": 6}) is not None


def test_e_a_bare_heartbeat_cannot_raise_the_commit_index(bench: Bench) -> None:
    allowed = bench.guard.incoming(2, {"type": "append_entries", "term": 5, "commit_index": 6})
    assert allowed is not None
    assert allowed["commit_index"] == 3


def test_h_a_reset_goes_to_the_last_entry_known_to_agree(bench: Bench) -> None:
    assert bench.reply(reset=True, success=False, next_node_idx=6)["next_node_idx"] == 4


@pytest.mark.parametrize(
    "message",
    [
        {"type": "append_entries", "transmission": "start", "data": b"", "term": 5, "commit_index": 1},
        {"type": "append_entries", "prevLogIdx": None, "prevLogTerm": None, "entries": [], "term": 5},
        {"type": "apply_command", "command": b""},
        {"type": "apply_command_response", "request_id": 1},
    ],
)
def test_l_m_q_what_never_leaves(bench: Bench, message: dict[str, object]) -> None:
    assert bench.guard.outgoing(2, message) is None


def test_s3_a_missing_snapshot_becomes_one_heartbeat(bench: Bench) -> None:
    message = {"type": "append_entries", "term": 5, "commit_index": 3, "serialized": (b"", True, True)}
    assert bench.guard.outgoing(2, message) == {"type": "append_entries", "term": 5, "commit_index": 0}
    assert bench.snapshots == [2]


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        {"type": "apply_command", "command": b"x"},
        {"type": "append_entries", "term": 1, "commit_index": 0, "serialized": [b"", True, True]},
        {"type": "append_entries", "term": 1, "commit_index": 0, "transmission": "start", "data": b""},
        {"type": "next_node_idx", "term": 1, "next_node_idx": -1, "reset": False, "success": True},
        {"type": "next_node_idx", "term": True, "next_node_idx": 1, "reset": False, "success": True},
        {"type": "forward", "term": 1, "commands": [[1, "text"]]},
        {"type": "request_vote", "term": 1, "last_log_index": 0},
        {
            "type": "append_entries",
            "term": 1,
            "commit_index": 0,
            "prevLogIdx": 1,
            "prevLogTerm": 1,
            "entries": [[b"\x00", 3, 1]],
        },
        {
            "type": "append_entries",
            "term": 1,
            "commit_index": 0,
            "prevLogIdx": 1,
            "prevLogTerm": 1,
            "entries": [[b"\x03pickled", 2, 1]],
        },
        {"type": "request_vote", "term": 1 << 63, "last_log_index": 0, "last_log_term": 0},
        {
            "type": "append_entries",
            "term": 1,
            "commit_index": 0,
            "prevLogIdx": 1,
            "prevLogTerm": 1,
            "entries": [[b"\x00", 2, 1 << 64]],
        },
        {
            "type": "append_entries",
            "term": 1,
            "commit_index": 0,
            "prevLogIdx": 1,
            "prevLogTerm": 1,
            "entries": [[b"\x00", 2, -1]],
        },
    ],
)
def test_malformed_and_pickling_messages_are_named(message: object) -> None:
    assert fault(message)
