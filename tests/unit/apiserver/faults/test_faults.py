"""What a fault may say, which requests it is meant for, and which of these it meets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.faults import rule
from apiserver.faults.matching import Facts, meets
from apiserver.faults.rule import (
    Delay,
    Drop,
    Error,
    Fault,
    InvalidFault,
    Match,
    Share,
    Spec,
    Stale,
    WatchStop,
)
from apiserver.faults.share import due, fraction
from apiserver.faults.table import Table


def read(action: dict[str, Any], match: Any = None, share: Any = None, **more: Any) -> Fault:
    spec = {"action": action, "match": match or {}, "share": share or {}}
    return rule.read({"spec": spec, **more})


ACTIONS = [
    {"type": "error", "code": 429, "retryAfter": 3, "afterEffect": False},
    {"type": "delay", "seconds": 0.5},
    {"type": "drop", "afterEffect": True},
    {"type": "watchStop", "afterEvents": 2, "abrupt": True},
    {"type": "watchExpire", "afterEvents": 0},
    {"type": "watchRewind", "events": 3, "afterEvents": 5},
    {"type": "watchDelay", "seconds": 1.0},
    {"type": "stale", "revisions": 5, "revision": 0},
    {"type": "compact", "revision": 9},
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action["type"])
def test_a_fault_is_written_as_it_is_read(action: dict[str, Any]) -> None:
    fault = read(action, {"users": ["a"]}, {"first": 2}, metadata={"name": "f"}, status={"taken": 1})
    document = rule.write(fault)
    assert document["spec"] == {"action": action, "match": {"users": ["a"]}, "share": {"first": 2}}
    assert (document["metadata"], document["status"]) == ({"name": "f"}, {"taken": 1})
    assert rule.read(document) == fault


REFUSED: list[tuple[Any, str]] = [
    (None, "a Fault object is expected"),
    ({"kind": "Pod"}, "kind: Unsupported value: 'Pod': it is 'Fault'"),
    ({"spec": {}}, "spec: Object missing required field 'action'"),
    ({"spec": {"action": {"type": "error", "code": 418}}}, "spec.action.code: Invalid enum value 418"),
    ({"spec": {"action": {"type": "shout"}}}, "spec.action.type: Invalid value 'shout'"),
    ({"spec": {"action": {"type": "delay", "seconds": 0}}}, "spec.action.seconds: Expected `float` > 0"),
    ({"spec": {"action": {"type": "drop", "when": 1}}}, "spec.action: Object contains unknown field 'when'"),
    (
        {"spec": {"action": {"type": "drop"}, "match": {"verbs": ["post"]}}},
        "spec.match.verbs[0]: Invalid enum value 'post'",
    ),
    (
        {"spec": {"action": {"type": "drop"}, "share": {"every": 2, "first": 2}}},
        "spec.share: give one of probability, every and first",
    ),
    ({"spec": {"action": {"type": "drop"}, "share": {"seed": 2}}}, "spec.share.seed: "),
    (
        {"spec": {"action": {"type": "error", "code": 409, "afterEffect": True}}},
        "spec.action.afterEffect: 409 says that nothing was done",
    ),
    (
        {"spec": {"action": {"type": "stale"}, "match": {"verbs": ["create"]}}},
        "spec.match.verbs: this action is for get or list: nothing would match",
    ),
    ({"spec": {"action": {"type": "drop"}}, "metadata": {"name": "A b"}}, "metadata.name: Invalid value"),
]


@pytest.mark.parametrize(("document", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_what_is_no_fault_is_refused_by_field(document: Any, text: str) -> None:
    with pytest.raises(InvalidFault) as refused:
        rule.read(document)
    assert str(refused.value).startswith(text.replace("`", "'"))


POD = Facts("alice", "create", "", "pods", "", "shop", "")
WATCH = Facts("system:node:w1", "watch", "apps", "deployments")
TABLE = [
    (Match(), Drop(), POD, True),
    (Match(users=["alice"], verbs=["create"], resources=["pods"], namespaces=["shop"]), Drop(), POD, True),
    (Match(users=["bob"]), Drop(), POD, False),
    (Match(users=["bob", "al*"]), Drop(), POD, True),
    (Match(verbs=["*"], resources=["*"]), Drop(), POD, True),
    (Match(names=["p"]), Drop(), POD, False),  # a create names nothing in its path
    (Match(api_groups=["apps"]), Drop(), POD, False),
    (Match(api_groups=[""]), Drop(), POD, True),
    (Match(api_groups=["apps"], users=["system:node:*"]), WatchStop(), WATCH, True),
    (Match(), WatchStop(), POD, False),  # not a watch
    (Match(), Stale(), POD, False),  # not a read
    (Match(), Stale(), Facts("alice", "get", resource="pods", name="p"), True),
    (Match(), Stale(), Facts("alice", "get", resource="pods", subresource="log", name="p"), False),
    (Match(resources=["pods"]), Drop(), Facts("a", "update", resource="pods", subresource="status"), False),
    (Match(resources=["pods/*"]), Drop(), Facts("a", "update", resource="pods", subresource="status"), True),
]


@pytest.mark.parametrize(("match", "action", "facts", "meant"), TABLE)
def test_which_requests_are_meant(match: Match, action: Any, facts: Facts, meant: bool) -> None:
    assert meets(match, action, facts) is meant


def test_every_nth() -> None:
    assert [n for n in range(1, 10) if due(Share(every=3), n)] == [3, 6, 9]


@given(st.integers(0, 2**63 - 1), st.floats(0.01, 1))
def test_a_probability_chooses_the_same_for_a_seed_and_about_so_many(seed: int, probability: float) -> None:
    share = Share(probability=probability, seed=seed)
    chosen = [n for n in range(1, 2001) if due(share, n)]
    assert chosen == [n for n in range(1, 2001) if due(share, n)]
    assert abs(len(chosen) / 2000 - probability) < 0.08  # seven standard deviations
    assert all(0 <= fraction(seed, n) < 1 for n in range(1, 50))


def test_the_table_counts_by_fault_and_forgets_with_it() -> None:
    table = Table()
    slow = Fault("slow", Spec(Delay(1.0), share=Share(every=2)))
    spent = Fault("spent", Spec(Error(500), share=Share(first=2)), taken=2)
    table.replace([spent, slow])
    assert [[f.name for f in table.due(POD)] for _ in range(4)] == [[], ["slow"], [], ["slow"]]
    table.injected(slow)
    assert (table.counts("slow").matched, table.counts("slow").injected) == (4, 1)
    assert table.counts("spent").matched == 0
    table.replace([slow])
    assert table.counts("slow").matched == 4
    table.replace([])
    table.replace([slow])
    assert table.counts("slow").matched == 0
