"""A follower's question for the leader's index, when the way to the leader is long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kvstore.raft.core import Core
from kvstore.raft.messages import ASK_INDEX, INDEX, READ, Message
from kvstore.raft.readindex import ReadIndex

LEADER = 2


def follower(sent: list[Message]) -> ReadIndex:
    node = SimpleNamespace(is_leader=False, leader_id=LEADER, connected={LEADER}, voters={LEADER, 3}, term=1)
    core: Any = SimpleNamespace(node=node, own_term_committed=False)
    return ReadIndex(cast(Core, core), lambda messages: sent.extend(m for _, m in messages), nonce=7)


def test_an_answer_that_takes_longer_than_the_question_is_repeated_counts() -> None:
    async def scenario() -> None:
        sent: list[Message] = []
        reads = follower(sent)
        first = asyncio.get_running_loop().create_future()
        reads.add(first)
        reads.pump()
        for _ in range(5):
            reads.retry()
        later = asyncio.get_running_loop().create_future()
        reads.add(later)
        reads.pump()
        assert [(m["type"], m["term"]) for m in sent] == [(ASK_INDEX, 1)] * 6
        reads.received(LEADER, {"type": INDEX, "round": sent[0]["round"], "index": 41})
        assert first.result() == 41
        assert not later.done(), "it came after the question"
        reads.pump()
        reads.received(LEADER, {"type": INDEX, "round": sent[-1]["round"], "index": 42})
        assert later.result() == 42

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("voters", "own_term_committed", "term", "at_once"),
    [
        ({2, 3}, True, 4, True),
        ({2, 3}, True, 3, False),
        ({2, 3}, False, 4, False),
        ({3}, True, 4, False),  # a learner's word does not count ...
        (set(), True, 4, True),  # ... and is not needed where the leader votes alone
        ({2, 3, 4, 5}, True, 4, False),
    ],
)
def test_a_question_of_the_leaders_term_is_the_confirmation_if_the_two_are_a_majority(
    voters: set[int], own_term_committed: bool, term: int, at_once: bool
) -> None:
    sent: list[tuple[int, Message]] = []
    node = SimpleNamespace(
        is_leader=True, leader_id=1, connected=set(), voters=voters, term=4, commit_index=5
    )
    core: Any = SimpleNamespace(node=node, own_term_committed=own_term_committed)
    reads = ReadIndex(cast(Core, core), sent.extend, nonce=7)
    reads.received(2, {"type": ASK_INDEX, "term": term, "round": 9})
    answered = [(2, {"type": INDEX, "round": 9, "index": 5})]
    assert sent == (answered if at_once else [])
    reads.pump()
    assert [message["type"] for _, message in sent[len(answered) if at_once else 0 :]] == (
        [] if at_once or not own_term_committed else [READ] * len(voters)
    )


def test_a_round_ends_when_the_voters_who_did_not_answer_are_none_any_more() -> None:
    async def scenario() -> None:
        node = SimpleNamespace(
            is_leader=True, leader_id=1, connected=set(), voters={2, 3}, term=1, commit_index=5
        )
        core: Any = SimpleNamespace(node=node, own_term_committed=True)
        reads = ReadIndex(cast(Core, core), lambda messages: None, nonce=7)
        waiting = asyncio.get_running_loop().create_future()
        reads.add(waiting)
        reads.pump()
        assert not waiting.done()
        node.voters = set()
        reads.retry()
        assert waiting.result() == 5

    asyncio.run(scenario())
