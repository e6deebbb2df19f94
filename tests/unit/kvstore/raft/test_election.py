"""Who may stand for election, and who says so: the rules on one fake node and clock."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kvstore.raft.config import Voting
from kvstore.raft.election import Election
from kvstore.raft.files import OsFiles
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import NO_OP, PRE_VOTE, PRE_VOTE_REPLY, Message, fault
from kvstore.raft.wal import Wal

HEARTBEAT, TIMEOUT = 0.1, 1.0


class FakeNode:
    """Member 2 of three, in term 5, with nobody leading."""

    def __init__(self) -> None:
        self.term = 5
        self.is_leader = False
        self.leader_id: int | None = None
        self.connected = {1, 3}
        self.voting = Voting(frozenset({1, 2, 3}))
        self.deadline = 0.0

    def campaign_at(self, when: float) -> None:
        self.deadline = when

    def put_off(self, when: float) -> None:
        self.deadline = when

    def adopt_term(self, term: int) -> None:
        self.term = term


class Bench:
    def __init__(self, directory: Path, *, pre_vote: bool = True) -> None:
        self.now = 100.0
        self.node = FakeNode()
        self.sent: list[tuple[int, Message]] = []
        journal = WalJournal(Wal(OsFiles(directory, fsync=False), cluster_id=1, member_id=2))
        journal.open((0, 0))
        journal.add(NO_OP, 1, 3)
        journal.add(NO_OP, 2, 4)
        self.election = Election(
            2,
            self.node,
            journal,
            lambda peer, message: self.sent.append((peer, message)),
            heartbeat=HEARTBEAT,
            election=TIMEOUT,
            rng=random.Random(1),
            clock=lambda: self.now,
            pre_vote=pre_vote,
        )

    def took(self) -> list[tuple[int, Message]]:
        sent, self.sent = self.sent, []
        assert not [what for _, message in sent if (what := fault(message))]
        return sent

    def asked(self) -> set[int]:
        return {peer for peer, message in self.took() if message["type"] == PRE_VOTE}

    def reply(self, peer: int, *, term: int = 5, round_: int = 1, granted: bool = True) -> None:
        self.election.on_reply(
            peer, {"type": PRE_VOTE_REPLY, "term": term, "round": round_, "granted": granted}
        )

    def asks(self, peer: int = 3, term: int = 5, last: tuple[int, int] = (2, 4)) -> bool:
        """Whether member `peer` is granted its pre-vote."""
        message = {"type": PRE_VOTE, "term": term, "round": 9}
        self.election.on_request(peer, {**message, "last_log_index": last[0], "last_log_term": last[1]})
        ((to, reply),) = self.took()
        assert (to, reply["round"], reply["term"]) == (peer, 9, self.node.term)
        return bool(reply["granted"])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_campaign_needs_the_word_of_a_majority(bench: Bench) -> None:
    assert not bench.election.may_campaign()
    assert bench.asked() == {1, 3}
    assert not bench.election.may_campaign()
    bench.reply(1, granted=False)
    assert not bench.election.may_campaign()
    bench.reply(3)
    assert bench.election.may_campaign()


def test_only_answers_of_voters_to_the_last_question_count(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.reply(7)
    bench.reply(1, round_=0)
    assert not bench.election.may_campaign()


def test_those_that_did_not_grant_are_asked_again_and_again(bench: Bench) -> None:
    bench.node.voting = Voting(frozenset({1, 2, 3, 4, 5}))
    bench.node.connected = {1, 3, 4}
    bench.election.may_campaign()
    assert bench.asked() == {1, 3, 4}
    bench.reply(1)
    assert not bench.election.may_campaign()
    assert bench.asked() == set()
    bench.now += 1.01 * HEARTBEAT
    assert not bench.election.may_campaign()
    assert bench.asked() == {3, 4}
    bench.reply(4)
    assert bench.election.may_campaign()


def test_an_appends_arrival_ends_the_question(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.election.heard_leader()
    bench.reply(1)
    bench.reply(3)
    assert not bench.election.may_campaign()


def test_grants_of_an_earlier_term_are_worth_nothing(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.reply(1)
    bench.node.term = 6
    assert not bench.election.may_campaign()


def test_a_member_behind_in_terms_catches_up_instead_of_campaigning(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.reply(1, term=8, granted=False)
    assert bench.node.term == 8
    assert not bench.election.may_campaign()


def test_a_transfer_and_a_single_voter_need_no_pre_vote(bench: Bench, tmp_path: Path) -> None:
    bench.election.forced = True
    assert bench.election.may_campaign()
    bench.election.campaigned()
    assert not bench.election.may_campaign()
    bench.node.voting = Voting(frozenset({2}), frozenset({1}))
    assert bench.election.may_campaign()
    assert Bench(tmp_path / "off", pre_vote=False).election.may_campaign()


@pytest.mark.parametrize(
    ("term", "last", "granted"),
    [
        (5, (2, 4), True),
        (5, (3, 4), True),
        (5, (1, 5), True),
        (6, (2, 4), True),
        (4, (2, 4), False),  # its votes would be ignored
        (5, (1, 4), False),  # it lacks an entry
        (5, (9, 3), False),  # of an older leader, however many
    ],
)
def test_the_asking_member_must_be_as_far(
    bench: Bench, term: int, last: tuple[int, int], granted: bool
) -> None:
    assert bench.asks(term=term, last=last) is granted


def test_a_member_that_hears_the_leader_grants_nothing(bench: Bench) -> None:
    bench.node.leader_id = 1
    bench.election.heard_leader()
    bench.now += 0.9 * TIMEOUT
    assert not bench.asks()
    bench.now += 0.2 * TIMEOUT
    assert bench.asks()


def test_a_leader_whose_connection_is_gone_is_gone(bench: Bench) -> None:
    bench.node.leader_id = 1
    bench.election.heard_leader()
    bench.node.connected = {3}
    assert bench.asks()


def test_a_leader_grants_nothing(bench: Bench) -> None:
    bench.node.is_leader = True
    assert not bench.asks(term=9)


def test_of_two_that_ask_at_once_the_larger_id_goes_on(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.took()
    assert not bench.asks(peer=1)
    assert bench.asks(peer=3)
    bench.reply(1)
    bench.reply(3)
    assert not bench.election.may_campaign()
    assert bench.node.deadline > bench.now


def test_the_larger_id_insists_only_for_a_while(bench: Bench) -> None:
    bench.election.may_campaign()
    bench.took()
    bench.now += 4 * HEARTBEAT
    assert bench.asks(peer=1)


def test_after_a_lost_campaign_the_next_follows_soon_then_ever_later(bench: Bench) -> None:
    waits = []
    for _ in range(12):
        bench.election.campaigned()
        waits.append(bench.node.deadline - bench.now)
    assert 2 * HEARTBEAT <= waits[0] <= 5 * HEARTBEAT
    assert waits[-1] >= TIMEOUT
    assert max(waits) <= 2 * TIMEOUT
    bench.election.heard_leader()
    bench.election.campaigned()
    assert bench.node.deadline - bench.now <= 5 * HEARTBEAT
