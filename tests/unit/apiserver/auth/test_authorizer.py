"""Who may do what: the built-in policy, rule matching, stored roles."""

from __future__ import annotations

import asyncio

import pytest

from apiserver.api import codec
from apiserver.auth import builtin_policy
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.rbac import Attributes, rule_allows
from apiserver.auth.user import ANONYMOUS_USER, AUTHENTICATED, MASTERS, User, service_account_user
from apiserver.storage.cacher import Caches
from apiserver.storage.memory import MemoryStorage

ALICE = User("alice", ("dev", AUTHENTICATED))
NODE = User("system:node:n1", ("system:nodes", AUTHENTICATED))
SCHEDULER = User("system:kube-scheduler", (AUTHENTICATED,))
MANAGER = User("system:kube-controller-manager", (AUTHENTICATED,))


@pytest.mark.parametrize(
    ("user", "verb", "group", "resource", "subresource", "allowed"),
    [
        (SCHEDULER, "create", "", "pods", "binding", True),
        (SCHEDULER, "delete", "", "nodes", "", False),
        (MANAGER, "update", "apps", "replicasets", "", True),
        (NODE, "patch", "", "pods", "status", True),
        (NODE, "create", "apps", "deployments", "", False),
        (ALICE, "get", "", "secrets", "", False),
        (ALICE, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "", True),
        (ANONYMOUS_USER, "list", "", "pods", "", False),
    ],
)
def test_builtin_policy(
    user: User, verb: str, group: str, resource: str, subresource: str, allowed: bool
) -> None:
    asked = Attributes(user, verb, group, resource, subresource, "ns", "x")
    assert (builtin_policy.policy().allows(asked) is not None) == allowed


def test_rules_by_name_subresource_and_path() -> None:
    asked = Attributes(ALICE, "get", "", "pods", "log", "ns", "a")
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"], "resourceNames": ["a"]}
    assert rule_allows(rule, asked)
    assert not rule_allows({**rule, "resourceNames": ["b"]}, asked)
    assert not rule_allows({**rule, "resources": ["pods"]}, asked)
    assert rule_allows({**rule, "resources": ["*/log"]}, asked)
    path = Attributes(ALICE, "get", path="/openapi/v3/x")
    assert rule_allows({"verbs": ["get"], "nonResourceURLs": ["/openapi/*"]}, path)
    assert not rule_allows({"verbs": ["get"], "nonResourceURLs": ["/openapi"]}, path)


def test_stored_roles_count_only_in_rbac_mode() -> None:
    async def main() -> None:
        storage = MemoryStorage()
        rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}
        role = {"metadata": {"name": "r", "namespace": "ns"}, "rules": [rule]}
        subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "ns"}
        binding = {
            "metadata": {"name": "b", "namespace": "ns"},
            "subjects": [subject],
            "roleRef": {"kind": "Role", "name": "r"},
        }
        await storage.create("/registry/roles/ns/r", codec.encode(role))
        await storage.create("/registry/rolebindings/ns/b", codec.encode(binding))
        caches = Caches(storage)
        asked = Attributes(service_account_user("ns", "robot", "u"), "list", "", "pods", namespace="ns")
        allowed, reason = await Authorizer(["RBAC"], caches).decide(asked)
        assert allowed
        assert reason == ('RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "robot/ns"')
        assert (await Authorizer(["Node"], caches).decide(asked))[0] is False
        root = Attributes(User("root", (MASTERS,)), "delete", "", "nodes")
        assert (await Authorizer(["Node"], caches).decide(root))[0] is True
        await caches.close()

    asyncio.run(main())


def test_refusals_say_what_was_asked() -> None:
    asked = Attributes(ALICE, "list", "apps", "deployments", "scale", "x")
    assert (
        asked.describe()
        == 'cannot list resource "deployments/scale" in API group "apps" in the namespace "x"'
    )
