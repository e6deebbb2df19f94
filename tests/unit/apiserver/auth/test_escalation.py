"""Nobody grants what they do not have, and the default policy grows without taking anything away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.auth.escalation import EVERYTHING, broken_down, refusal, uncovered
from apiserver.auth.rbac import Attributes, Rule, rule_allows
from apiserver.auth.reconciliation import Replace, reconciled_binding, reconciled_role
from apiserver.auth.user import User
from tests.unit.apiserver.auth.test_policy import QUESTIONS, RULES

PODS: Rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@settings(max_examples=80, deadline=None)
@given(st.lists(RULES, max_size=3), st.lists(RULES, max_size=2), st.lists(QUESTIONS, max_size=8))
def test_what_is_covered_allows_nothing_new(
    owned: list[Rule], granted: list[Rule], questions: list[Attributes]
) -> None:
    """If nothing is uncovered, whatever the granted rules allow the owned ones allow as well."""
    if uncovered(owned, granted):
        return
    for asked in questions:
        if any(rule_allows(rule, asked) for rule in granted):
            assert any(rule_allows(rule, asked) for rule in owned)


@settings(max_examples=40, deadline=None)
@given(st.lists(RULES, max_size=3))
def test_everything_covers_all_and_rules_cover_themselves(rules: list[Rule]) -> None:
    assert uncovered(EVERYTHING, rules) == []
    assert uncovered(rules, rules) == []
    parts = [part for rule in rules for part in broken_down(rule)]
    assert uncovered([], rules) == parts


def test_the_words_of_a_refusal() -> None:
    granted: list[Rule] = [
        {"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"], "resourceNames": ["x"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    text = refusal(User("alice", ("dev", "qa")), uncovered([PODS], granted))
    assert text == (
        'user "alice" (groups=["dev" "qa"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["x"], Verbs:["watch"]}\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}\n'
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}'
    )


@pytest.mark.parametrize(
    ("owned", "part", "covered"),
    [
        ({"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]}, ("pods/log", []), True),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, ("pods/log", []), False),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]},
            ("pods", []),
            False,
        ),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]},
            ("pods", ["a"]),
            True,
        ),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, ("pods", ["a"]), True),
    ],
)
def test_subresources_and_names(owned: Rule, part: tuple[str, list[str]], covered: bool) -> None:
    resource, names = part
    granted = {"apiGroups": [""], "resources": [resource], "verbs": ["get"], "resourceNames": names}
    assert (not uncovered([owned], [granted])) == covered


def role(rules: list[Rule], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "r", **metadata}, "rules": rules}


def test_missing_rules_are_added_and_others_stay() -> None:
    own: Rule = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}
    wanted: Rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    new = reconciled_role(
        role([wanted], labels={"a": "1", "b": "2"}), role([own, PODS], labels={"a": "mine"})
    )
    assert new is not None
    assert new["rules"] == [own, PODS, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    assert new["metadata"]["labels"] == {"a": "mine", "b": "2"}
    assert reconciled_role(role([wanted]), new) is None


def test_a_protected_role_is_left_alone() -> None:
    mark = {"rbac.authorization.kubernetes.io/autoupdate": "false"}
    assert reconciled_role(role([PODS]), role([], annotations=mark)) is None


def test_an_aggregated_role_keeps_the_rules_that_its_controller_wrote() -> None:
    rule = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
    expected = {**role([]), "rules": None, "aggregationRule": rule}
    assert reconciled_role(expected, {**role([PODS]), "aggregationRule": rule}) is None
    given = reconciled_role(expected, role([PODS]))
    assert given is not None
    assert (given["aggregationRule"], given["rules"]) == (rule, [PODS])


def test_subjects_are_added_and_another_role_means_another_binding() -> None:
    def binding(name: str, *subjects: str) -> dict[str, Any]:
        listed = [{"kind": "User", "name": subject} for subject in subjects]
        return {
            "metadata": {"name": "b"},
            "subjects": listed,
            "roleRef": {"kind": "ClusterRole", "name": name},
        }

    new = reconciled_binding(binding("r", "a"), binding("r", "b"))
    assert new is not None
    assert [subject["name"] for subject in new["subjects"]] == ["b", "a"]
    assert reconciled_binding(binding("r"), binding("r", "b")) is None
    with pytest.raises(Replace):
        reconciled_binding(binding("r", "a"), binding("other", "a"))
