"""One core and messages by hand: what a member may conclude from what it is sent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import cbor2
import pytest

from kvstore.raft.config import Voting
from kvstore.raft.core import Core
from kvstore.raft.files import OsFiles
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import APPEND, CHANGE, COMMITTED, ENTRY, PRE_VOTE, Message
from kvstore.raft.proposals import Proposals
from kvstore.raft.wal import Wal

THREE = Voting(frozenset({1, 2, 3}))


class Machine:
    """A change's command is the list of the voters after it."""

    def __init__(self, index: int = 0) -> None:
        self.position = (index, 0)
        self.members: Voting | None = None

    def applied(self) -> tuple[int, int]:
        return self.position

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        assert index == self.position[0] + 1
        self.position = (index, term)
        for command in commands:
            if command[:1] == b"\x83" or command[:1] == b"\x84":
                self.members = Voting(frozenset(cbor2.loads(command)))
        return [None] * len(commands)

    def voting(self) -> Voting | None:
        return self.members


class Bench:
    """Member 1 of three, connected to the others."""

    def __init__(self, directory: Path, voting: Voting = THREE) -> None:
        self.now = 100.0
        self.voting = voting
        self.machine = Machine()
        self.journal = WalJournal(Wal(OsFiles(directory, fsync=False), cluster_id=1, member_id=1))
        self.journal.open(self.machine.applied())
        self.core = self.restarted()

    def restarted(self) -> Core:
        core = Core(
            1,
            self.voting,
            self.journal,
            self.machine,
            Proposals(1, 1, 1 << 20),
            heartbeat=0.1,
            election=1.0,
            max_entry_bytes=1 << 20,
            rng=random.Random(1),
            on_snapshot_needed=lambda _: None,
            clock=lambda: self.now,
        )
        for peer in (2, 3):
            core.connected(peer)
        return core

    def append(self, entries: list[tuple[bytes, int, int]], *, commit: int = 0, term: int = 1) -> None:
        last = self.journal.last
        message = {"type": "append_entries", "term": term, "commit_index": commit, "entries": entries}
        self.core.deliver(2, {**message, "prevLogIdx": last.index, "prevLogTerm": last.term})
        self.core.tick()

    def sent(self) -> list[tuple[int, Message]]:
        return self.core.take_early() + self.core.take_held()


def entry(index: int, term: int = 1) -> tuple[bytes, int, int]:
    return (ENTRY + cbor2.dumps([(2, index, b"x")]), index, term)


def change(index: int, *voters: int) -> tuple[bytes, int, int]:
    return (CHANGE + cbor2.dumps([(2, index, cbor2.dumps(list(voters)))]), index, 1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("peer", "term", "index", "applied"),
    [
        (2, 1, 2, 2),
        (2, 1, 3, 3),
        (3, 1, 2, 0),  # not the leader
        (2, 2, 2, 0),  # not this term
        (2, 1, 9, 0),  # not here yet
    ],
)
def test_commits_are_believed_only_of_what_is_the_leaders_own(
    bench: Bench, peer: int, term: int, index: int, applied: int
) -> None:
    bench.append([entry(1), entry(2), entry(3)])
    bench.core.deliver(peer, {"type": "commit", "term": term, "index": index})
    bench.core.tick()
    assert bench.machine.position[0] == applied


def test_entries_of_an_earlier_term_are_not_committed_by_such_a_word(bench: Bench) -> None:
    bench.append([entry(1), entry(2)])
    bench.append([], term=2)
    bench.core.deliver(2, {"type": "commit", "term": 2, "index": 2})
    bench.core.tick()
    assert bench.machine.position[0] == 0


def test_of_two_changes_in_the_log_the_first_is_committed(bench: Bench) -> None:
    bench.append([entry(1), change(2, 1, 2, 3, 4)])
    assert bench.machine.position[0] == 0
    bench.append([entry(3), change(4, 1, 2, 3, 4, 5)])
    assert bench.machine.position[0] == 2
    assert bench.core.node.voting.voters == {1, 2, 3, 4}


def test_a_restarted_member_counts_by_the_members_that_its_log_proves(bench: Bench) -> None:
    bench.append([change(1, 1, 2, 3, 4), change(2, 1, 2, 3, 4, 5)])
    bench.machine = Machine()  # what was applied had not reached the disk
    bench.core = bench.restarted()
    assert not bench.core.may_campaign()
    bench.core.tick()
    assert bench.core.node.voting.voters == {1, 2, 3, 4}


def vote(term: int, **more: object) -> Message:
    return {"type": "request_vote", "term": term, "last_log_index": 9, "last_log_term": 9, **more}


def test_no_vote_is_given_while_the_leader_is_heard(bench: Bench) -> None:
    bench.append([entry(1)])
    bench.sent()
    bench.core.deliver(3, vote(5))
    assert (bench.core.node.term, bench.sent()) == (1, [])
    bench.core.deliver(3, vote(5, forced=True))
    assert [message["type"] for _, message in bench.sent()] == ["response_vote"]
    assert bench.core.node.term == 5


def test_a_vote_is_given_when_the_leader_is_gone(bench: Bench) -> None:
    bench.append([entry(1)])
    bench.core.disconnected(2)
    bench.sent()
    bench.core.deliver(3, vote(5))
    assert [message["type"] for _, message in bench.sent()] == ["response_vote"]


def test_a_leader_of_an_earlier_term_is_told_of_the_later_one(bench: Bench) -> None:
    bench.append([entry(1)], term=7)
    bench.sent()
    message = {"type": "append_entries", "term": 6, "commit_index": 0}
    bench.core.deliver(3, message)
    assert bench.sent() == [(3, {"type": "newer_term", "term": 7})]
    assert bench.core.node.leader_id == 2


def test_only_a_leader_gives_signs_of_life(bench: Bench) -> None:
    assert bench.core.signs_of_life() == []


def test_who_is_elected_by_its_own_vote_alone_sends_nothing_in_that_term_before_the_vote_is_on_disk(
    tmp_path: Path,
) -> None:
    """It could lose the vote and lead the same term again, with other entries than a learner has."""
    core = Bench(tmp_path, Voting(frozenset({1}), frozenset({2, 3}))).core
    core.tick()
    assert core.node.is_leader
    assert core.take_early() == []
    assert APPEND in [message["type"] for _, message in core.take_held()]


def test_a_candidate_is_told_what_is_committed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for index in (1, 2):
        bench.journal.add(ENTRY + cbor2.dumps([]), index, 1)
    bench.core.node.committed(1)
    question = {"type": PRE_VOTE, "term": 0, "round": 1, "last_log_index": 0, "last_log_term": 0}
    bench.core.deliver(2, question)
    told = [message for _, message in bench.core.take_held() if message["type"] == COMMITTED]
    assert told == [{"type": COMMITTED, "index": 1, "entry_term": 1}]


@pytest.mark.parametrize(("entry_term", "commit_index"), [(1, 2), (2, 0)])
def test_what_another_says_is_committed_counts_for_the_same_entry_only(
    tmp_path: Path, entry_term: int, commit_index: int
) -> None:
    bench = Bench(tmp_path)
    for index in (1, 2):
        bench.journal.add(ENTRY + cbor2.dumps([]), index, 1)
    bench.core.deliver(2, {"type": COMMITTED, "index": 2, "entry_term": entry_term})
    assert bench.core.node.commit_index == commit_index


@pytest.mark.parametrize(
    "content", [b"", b"\xa5", b"\x01", cbor2.dumps([[2, 1]]), cbor2.dumps([[2, "1", b"x"]])]
)
def test_an_entry_without_commands_is_applied_as_nothing(bench: Bench, content: bytes) -> None:
    bench.append([(ENTRY + content, 1, 1), entry(2)], commit=2)
    assert bench.machine.position == (2, 1)


def test_votes_of_a_member_that_is_none_any_more_do_not_count(tmp_path: Path) -> None:
    """Of four, one votes and is removed: the candidate has one vote of three then, its own."""
    bench = Bench(tmp_path, Voting(frozenset({1, 2, 3, 4})))
    bench.append([change(1, 1, 2, 3)])
    bench.core.election.forced = True
    bench.core.node.campaign_at(0.0)
    bench.core.tick()
    bench.core.deliver(4, {"type": "response_vote", "term": 2})
    bench.core.deliver(3, {"type": "committed", "index": 1, "entry_term": 1})
    bench.core.tick()
    assert bench.core.node.voting.voters == {1, 2, 3}
    bench.core.deliver(2, {"type": "response_vote", "term": 2})
    assert not bench.core.node.is_leader
    bench.core.deliver(3, {"type": "response_vote", "term": 2})
    assert bench.core.node.is_leader


@pytest.mark.parametrize(
    ("askers", "can_wait"),
    [
        ([1], {2: True, 3: True}),
        ([1, 2], {2: False, 3: True}),  # a client of 2 waits for the same word
        ([2], {2: False, 3: False}),  # nobody here waits
        ([], {2: False, 3: False}),
    ],
)
def test_word_of_what_is_committed_waits_for_answers_unless_one_depends_on_it(
    bench: Bench, askers: list[int], can_wait: dict[int, bool]
) -> None:
    bench.journal.add(ENTRY + cbor2.dumps([(member, 1, b"x") for member in askers]), 1, 1)
    bench.core.node.committed(1)
    bench.core.tick()
    assert bench.machine.position[0] == 1
    word = {"type": "commit", "term": 1, "index": 1}
    assert {peer: bench.core.can_wait(peer, word) for peer in can_wait} == can_wait
    assert not bench.core.can_wait(2, {"type": APPEND, "term": 1, "commit_index": 1})
    bench.core.tick()
    assert not bench.core.can_wait(3, word), "of the last tick only"
