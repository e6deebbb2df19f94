"""Which rule of an audit policy holds, and what a policy may not say."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.audit import policy
from apiserver.audit.policy import PolicyError
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import User

ANN = User("ann", ("dev", "system:authenticated"))


def document(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **fields}


def pod(verb: str = "get", subresource: str = "", namespace: str = "x", name: str = "p") -> Attributes:
    return Attributes(ANN, verb, "", "pods", subresource, namespace, name)


PODS = [{"group": "", "resources": ["pods"]}]


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ({}, pod(), True),
        ({}, Attributes(ANN, "get", path="/healthz"), True),
        ({"users": ["ann"]}, pod(), True),
        ({"users": ["bob"]}, pod(), False),
        ({"userGroups": ["dev", "ops"]}, pod(), True),
        ({"userGroups": ["ops"]}, pod(), False),
        ({"verbs": ["get", "list"]}, pod(), True),
        ({"verbs": ["list"]}, pod(), False),
        ({"resources": PODS}, pod(), True),
        ({"resources": PODS}, pod(subresource="status"), False),
        ({"resources": [{"group": "", "resources": ["pods/status"]}]}, pod(subresource="status"), True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, pod(subresource="log"), True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, pod(), True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, pod(subresource="log"), True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, pod(), False),
        ({"resources": [{"group": "", "resources": ["*"]}]}, pod(subresource="log"), True),
        ({"resources": [{"group": ""}]}, pod(), True),
        ({"resources": [{"group": "apps"}]}, pod(), False),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["p"]}]}, pod(), True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["q"]}]}, pod(), False),
        ({"resources": PODS}, Attributes(ANN, "get", path="/api"), False),
        ({"namespaces": ["x"]}, pod(), True),
        ({"namespaces": ["y"]}, pod(), False),
        ({"namespaces": [""]}, Attributes(ANN, "list", resource="nodes"), True),
        ({"nonResourceURLs": ["/healthz*"]}, Attributes(ANN, "get", path="/healthz/etcd"), True),
        ({"nonResourceURLs": ["/healthz"]}, Attributes(ANN, "get", path="/healthz/etcd"), False),
        ({"nonResourceURLs": ["*"]}, Attributes(ANN, "get", path="/x"), True),
        ({"nonResourceURLs": ["*"]}, pod(), False),
    ],
)
def test_a_rule_matches(rule: dict[str, Any], asked: Attributes, matches: bool) -> None:
    found = policy.read(document({"level": "Metadata", **rule})).rule_of(asked)
    assert found.level == ("Metadata" if matches else "None")


def test_the_first_rule_decides_and_takes_over_what_holds_for_all() -> None:
    found = policy.read(
        document(
            {"level": "Request", "verbs": ["get"], "omitStages": ["Panic"], "omitManagedFields": False},
            {"level": "Metadata"},
            omitStages=["RequestReceived"],
            omitManagedFields=True,
        )
    )
    first, second = found.rule_of(pod()), found.rule_of(pod("list"))
    assert (first.level, first.omit_stages, first.omit_managed_fields) == (
        "Request",
        {"Panic", "RequestReceived"},
        False,
    )
    assert (second.level, second.omit_stages, second.omit_managed_fields) == (
        "Metadata",
        {"RequestReceived"},
        True,
    )


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (None, "Expected `object`, got `null`"),
        (document(), "loaded illegal policy with 0 rules"),
        ({**document({"level": "None"}), "kind": "Police"}, "must hold a Policy of audit.k8s.io/v1"),
        (document({}), "rules[0].level: Required value"),
        (document({"level": "All"}), 'rules[0].level: Unsupported value: "All": supported values: "None", '),
        (document({"level": "None", "verb": ["get"]}), "unknown field `verb` - at `$.rules[0]`"),
        (
            document({"level": "None", "verbs": "get"}),
            "Expected `array | null`, got `str` - at `$.rules[0].verbs`",
        ),
        (document({"level": "None", "nonResourceURLs": ["x"]}), "must begin with a '/' character"),
        (document({"level": "None", "nonResourceURLs": ["/a*b"]}), "must be the final character of the rule"),
        (
            document({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["x"]}),
            "rules cannot apply to both regular resources and non-resource URLs",
        ),
        (
            document({"level": "None", "resources": [{"group": "a/b"}]}),
            'rules[0].resources.group: Invalid value: "a/b"',
        ),
        (
            document({"level": "None", "resources": [{"group": "", "resourceNames": ["x"]}]}),
            "using resourceNames requires at least one resource",
        ),
        (
            document({"level": "None", "omitStages": ["Later"]}),
            'rules[0].omitStages[0]: Invalid value: "Later": allowed stages are RequestReceived,',
        ),
    ],
)
def test_mistakes_are_named(wrong: Any, text: str) -> None:
    with pytest.raises(PolicyError) as raised:
        policy.read(wrong)
    assert text in str(raised.value)
