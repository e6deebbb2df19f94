"""Which writes a rule or a whole configuration means: tables."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.interface import Attributes
from apiserver.admission.matching import (
    Criteria,
    Match,
    is_configuration,
    is_exempt_from_policies,
    namespace_of,
    rule_matches,
)
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource, GroupVersionKind, GroupVersionResource
from apiserver.auth.user import User

POD = GroupVersionResource("", "v1", "pods")
NAMESPACE = GroupVersionResource("", "v1", "namespaces")
KINDS = {"pods": "Pod", "namespaces": "Namespace", "nodes": "Node", "deployments": "Deployment"}


def write(operation: str = "CREATE", gvr: GroupVersionResource = POD, **more: Any) -> Attributes:
    kind = GroupVersionKind(gvr.group, gvr.version, KINDS[gvr.resource])
    chosen = {"namespace": "default", "name": "a", "obj": {"metadata": {}}, "old": None, **more}
    return Attributes(operation=operation, gvr=gvr, gvk=kind, user=User("alice"), **chosen)


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "operations": ["*"],
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "resources": ["*"],
        **changes,
    }


def none(_: GroupVersionResource, __: str) -> list[Match]:
    return []


@pytest.mark.parametrize(
    ("changes", "subresource", "expected"),
    [
        ({}, "", True),
        ({}, "status", False),
        ({"resources": ["*/*"]}, "status", True),
        ({"resources": ["*/*"]}, "", True),
        ({"resources": ["pods/*"]}, "status", True),
        ({"resources": ["pods/status"]}, "status", True),
        ({"resources": ["pods/status"]}, "", False),
        ({"resources": ["*/scale"]}, "status", False),
        ({"resources": ["services", "pods"]}, "", True),
        ({"operations": ["UPDATE"]}, "", False),
        ({"operations": ["UPDATE", "CREATE"]}, "", True),
        ({"apiGroups": [""]}, "", True),
        ({"apiGroups": ["apps"]}, "", False),
        ({"apiVersions": ["v2"]}, "", False),
        ({"scope": "Namespaced"}, "", True),
        ({"scope": "Cluster"}, "", False),
        ({"scope": "*"}, "", True),
    ],
)
def test_rules(changes: dict[str, Any], subresource: str, expected: bool) -> None:
    assert rule_matches(rule(**changes), write(subresource=subresource), POD) is expected


def test_a_namespace_has_cluster_scope_though_it_is_in_itself() -> None:
    asked = write("UPDATE", NAMESPACE, namespace="", name="blue")
    assert namespace_of(asked) == "blue"
    assert rule_matches(rule(scope="Cluster"), asked, NAMESPACE)
    assert not rule_matches(rule(scope="Namespaced"), asked, NAMESPACE)


SPACE = {"metadata": {"name": "default", "labels": {"team": "blue"}}}
BLUE, RED = {"matchLabels": {"team": "blue"}}, {"matchLabels": {"team": "red"}}


@pytest.mark.parametrize(
    ("match", "asked", "expected"),
    [
        ({"namespaceSelector": BLUE}, write(), True),
        ({"namespaceSelector": RED}, write(), False),
        ({"namespaceSelector": RED}, write(gvr=GroupVersionResource("", "v1", "nodes"), namespace=""), True),
        ({"namespaceSelector": BLUE}, write(gvr=NAMESPACE, namespace="", obj=SPACE), True),
        ({"namespaceSelector": RED}, write(gvr=NAMESPACE, namespace="", obj=SPACE), False),
        ({"objectSelector": BLUE}, write(obj=SPACE), True),
        ({"objectSelector": BLUE}, write("UPDATE", old=SPACE), True),
        ({"objectSelector": BLUE}, write("DELETE", obj=None, old=SPACE), True),
        ({"objectSelector": BLUE}, write(), False),
        ({"excludeResourceRules": [rule(operations=["CREATE"])]}, write(), False),
        ({"excludeResourceRules": [rule(resourceNames=["b"])]}, write(), True),
        ({"resourceRules": [rule(resourceNames=["a"])]}, write(), True),
        ({"resourceRules": [rule(resourceNames=["b"])]}, write(), False),
    ],
)
def test_selectors_and_exceptions(match: dict[str, Any], asked: Attributes, expected: bool) -> None:
    criteria = Criteria.of_policy({"resourceRules": [rule()], **match})
    assert (criteria.match(asked, SPACE, none) is not None) is expected


def test_a_namespace_that_is_not_there_is_an_error_only_where_it_matters() -> None:
    selecting = {"namespaceSelector": BLUE}
    elsewhere = Criteria.of_policy({"resourceRules": [rule(apiGroups=["apps"])], **selecting})
    assert elsewhere.match(write(), None, none) is None
    with pytest.raises(StatusError, match='namespaces "default" not found'):
        Criteria.of_policy({"resourceRules": [rule()], **selecting}).match(write(), None, none)


@pytest.mark.parametrize("policy", ["Equivalent", "Exact"])
def test_equivalent_resources(policy: str) -> None:
    old = Match(
        GroupVersionResource("extensions", "v1beta1", "deployments"),
        GroupVersionKind("extensions", "v1beta1", "Deployment"),
    )
    asked = write(gvr=GroupVersionResource("apps", "v1", "deployments"))
    criteria = Criteria.of_webhook({"rules": [rule(apiGroups=["extensions"])], "matchPolicy": policy})
    assert criteria.match(asked, SPACE, lambda *_: [old]) == (old if policy == "Equivalent" else None)


def test_a_binding_without_rules_means_everything_and_a_webhook_without_rules_nothing() -> None:
    assert Criteria.of_policy({}).match(write(), SPACE, none) is not None
    assert Criteria.of_webhook({}).match(write(), SPACE, none) is None


def test_what_configures_admission_is_exempt() -> None:
    hooks = GroupResource("admissionregistration.k8s.io", "validatingwebhookconfigurations")
    assert is_configuration(hooks)
    assert is_exempt_from_policies(hooks)
    assert is_exempt_from_policies(GroupResource("authentication.k8s.io", "tokenreviews"))
    assert not is_exempt_from_policies(GroupResource("", "pods"))
