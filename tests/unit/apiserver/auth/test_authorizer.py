"""Who may do what: the built-in policy, rule matching, stored roles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
PROXY = User("system:kube-proxy", (AUTHENTICATED,))
MANAGER = User("system:kube-controller-manager", (AUTHENTICATED,))


@pytest.mark.parametrize(
    ("user", "verb", "group", "resource", "subresource", "allowed"),
    [
        (SCHEDULER, "create", "", "pods", "binding", True),
        (SCHEDULER, "delete", "", "nodes", "", False),
        (SCHEDULER, "get", "", "secrets", "", False),
        (MANAGER, "update", "apps", "replicasets", "", True),
        (PROXY, "list", "", "services", "", True),
        (PROXY, "get", "", "secrets", "", False),
        (NODE, "patch", "", "pods", "status", False),
        (ALICE, "get", "", "secrets", "", False),
        (ALICE, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "", True),
        (ANONYMOUS_USER, "list", "", "pods", "", False),
    ],
)
def test_what_roles_give_from_the_start(
    user: User, verb: str, group: str, resource: str, subresource: str, allowed: bool
) -> None:
    """Nodes get nothing from roles: that is the node authorizer's."""
    asked = Attributes(user, verb, group, resource, subresource, "ns", "x")
    assert builtin_policy.policy().decide(asked)[0] == allowed


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
        assert (await Authorizer(["AlwaysAllow"], caches).decide(asked))[0] is True
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


def run(body: Callable[[MemoryStorage, Caches], Awaitable[None]]) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        caches = Caches(storage)
        try:
            await body(storage, caches)
        finally:
            await caches.close()

    asyncio.run(main())


LISTS = Attributes(ALICE, "list", "", "pods", namespace="ns")
ROLE = {
    "metadata": {"name": "r", "namespace": "ns"},
    "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}],
}
BINDING = {
    "metadata": {"name": "b", "namespace": "ns"},
    "subjects": [{"kind": "Group", "name": "dev"}],
    "roleRef": {"kind": "Role", "name": "r"},
}


async def seen(caches: Caches, revision: int) -> None:
    for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings"):
        await caches.of(f"/registry/{kind}/").wait_until(revision)


def test_decisions_follow_every_change_of_roles_and_bindings() -> None:
    async def body(storage: MemoryStorage, caches: Caches) -> None:
        authorizer = Authorizer(["RBAC"], caches)
        assert await authorizer.decide(LISTS) == (False, "")
        await seen(caches, await storage.create("/registry/rolebindings/ns/b", codec.encode(BINDING)))
        missing = 'RBAC: role.rbac.authorization.k8s.io "r" not found'
        await authorizer.default_policy_is_stored()
        assert await authorizer.decide(LISTS) == (False, missing)
        made = await storage.create("/registry/roles/ns/r", codec.encode(ROLE))
        await seen(caches, made)
        assert await authorizer.decide(LISTS) == (
            True,
            'RBAC: allowed by RoleBinding "b/ns" of Role "r" to Group "dev"',
        )
        changed = await storage.update("/registry/roles/ns/r", codec.encode({**ROLE, "rules": []}), made)
        await seen(caches, changed)
        assert await authorizer.decide(LISTS) == (False, "")
        await seen(caches, await storage.delete("/registry/roles/ns/r", changed))
        assert await authorizer.decide(LISTS) == (False, missing)

    run(body)


def test_the_default_policy_holds_until_it_is_stored_and_no_longer() -> None:
    async def body(storage: MemoryStorage, caches: Caches) -> None:
        authorizer = Authorizer(["RBAC"], caches)
        asked = Attributes(SCHEDULER, "create", "", "pods", "binding", "ns")
        assert (await authorizer.decide(asked))[0] is True
        await authorizer.default_policy_is_stored()
        assert (await authorizer.decide(asked))[0] is False

    run(body)


def test_a_server_that_finds_a_stored_policy_goes_by_it_at_once() -> None:
    async def body(storage: MemoryStorage, caches: Caches) -> None:
        await storage.create(
            "/registry/clusterroles/cluster-admin", codec.encode({"metadata": {"name": "cluster-admin"}})
        )
        asked = Attributes(SCHEDULER, "create", "", "pods", "binding", "ns")
        assert (await Authorizer(["RBAC"], caches).decide(asked))[0] is False

    run(body)


def test_reasons_of_all_modes_are_told() -> None:
    async def body(storage: MemoryStorage, caches: Caches) -> None:
        authorizer = Authorizer(["Node", "RBAC"], caches)
        asked = Attributes(NODE, "get", "", "nodes", name="n2")
        allowed, reason = await authorizer.decide(asked)
        assert not allowed
        assert reason == "node 'n1' cannot read 'n2', only its own Node object"
        listed = await authorizer.rules(NODE, "ns")
        assert listed.error == "node authorizer does not support user rule resolution"
        assert (await Authorizer(["AlwaysAllow"], caches).rules(ALICE, "ns")).rules[0]["verbs"] == ["*"]

    run(body)


def test_a_node_reads_what_its_pods_name_as_soon_as_that_is_stored() -> None:
    """The cache may not have seen the binding yet: the refusal waits for it."""

    async def body(storage: MemoryStorage, caches: Caches) -> None:
        authorizer = Authorizer(["Node", "RBAC"], caches)
        asked = Attributes(NODE, "get", "", "secrets", namespace="ns", name="s")
        assert (await authorizer.decide(asked))[
            1
        ] == "no relationship found between node 'n1' and this object"
        pod = {
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {"nodeName": "n1", "volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        }
        made = await storage.create("/registry/pods/ns/p", codec.encode(pod))
        assert (await authorizer.decide(asked))[0] is True
        await storage.delete("/registry/pods/ns/p", made)
        await caches.of("/registry/pods/").wait_current()
        assert (await authorizer.decide(asked))[0] is False

    run(body)


def test_a_role_is_found_as_soon_as_it_is_stored() -> None:
    async def body(storage: MemoryStorage, caches: Caches) -> None:
        authorizer = Authorizer(["RBAC"], caches)
        assert await authorizer.role("Role", "ns", "r") is None
        await storage.create("/registry/roles/ns/r", codec.encode(ROLE))
        found = await authorizer.role("Role", "ns", "r")
        assert found is not None
        assert [rule.raw for rule in found] == ROLE["rules"]

    run(body)
