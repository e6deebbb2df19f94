"""May this user do this? Asked once per request by the chain, and by the access reviews.

Members of ``system:masters`` may do everything; then the modes of ``--authorization-mode`` are asked in their order,
and the first that says yes decides. ``RBAC`` holds the stored roles and bindings, ``Node`` kubelets. Until the default
policy is stored for the first time, it holds as if it were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from apiserver.auth import builtin_policy
from apiserver.auth.feed import Feed
from apiserver.auth.node_authorizer import NO_LIST, NodeAuthorizer
from apiserver.auth.policy import Policy
from apiserver.auth.rbac import Attributes, CompiledRule, Rule
from apiserver.auth.user import MASTERS, User
from apiserver.storage.cacher import Caches

MODES: Final = ("AlwaysAllow", "Node", "RBAC")
KINDS: Final = ("clusterroles", "roles", "clusterrolebindings", "rolebindings")
"""What ``RBAC`` asks at every request."""
_EVERYTHING: Final[list[Rule]] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


@dataclass(frozen=True)
class Rules:
    """What a user may do; ``error`` says why the list is not complete, if it is not."""

    rules: list[Rule]
    error: str = ""


class RbacAuthorizer:
    """Keeps `Policy` in step with the watch caches."""

    def __init__(self, caches: Caches) -> None:
        self._stored = Policy()
        self._builtin: Policy | None = None
        for binding in builtin_policy.standing_bindings():
            self._stored.put_binding(binding)
        self._feeds = [
            self._feed(caches, name, "binding" if name.endswith("bindings") else "role") for name in KINDS
        ]
        self._filled = False

    def _feed(self, caches: Caches, resource: str, what: str) -> Feed:
        put = self._stored.put_role if what == "role" else self._stored.put_binding
        remove = self._stored.remove_role if what == "role" else self._stored.remove_binding

        def gone(path: str) -> None:
            namespace, _, name = path.rpartition("/")
            remove(namespace, name)

        return Feed(caches.of(f"/registry/{resource}/"), lambda entry: put(entry.object()), gone)

    async def policy(self) -> Policy:
        """The policy as it is now."""
        for feed in self._feeds:
            await feed.ready()
            feed.poll()
        if not self._filled:
            self._filled = True
            if self._stored.role("ClusterRole", "", "cluster-admin") is None:
                self._builtin = builtin_policy.policy()
        return self._builtin or self._stored

    async def role(self, kind: str, namespace: str, name: str) -> Sequence[CompiledRule] | None:
        """A role that was stored just now, through another server too, is found."""
        found = await self._known_role(kind, namespace, name)
        if found is not None:
            return found
        await self._catch_up()
        return await self._known_role(kind, namespace, name)

    async def _known_role(self, kind: str, namespace: str, name: str) -> Sequence[CompiledRule] | None:
        found = (await self.policy()).role(kind, namespace, name)
        return self._stored.role(kind, namespace, name) if found is None else found

    async def _catch_up(self) -> None:
        for feed in self._feeds:
            await feed.cache.wait_current()

    async def default_policy_is_stored(self) -> None:
        await self._catch_up()  # nobody loses a right while the cache has not seen it yet
        self._filled = True
        self._builtin = None

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        allowed, reason = (await self.policy()).decide(asked)
        if not allowed and self._builtin is not None:
            return self._stored.decide(asked)
        return allowed, reason


class Authorizer:
    """``modes`` in their order."""

    def __init__(self, modes: Sequence[str], caches: Caches) -> None:
        self._always = "AlwaysAllow" in modes
        self._rbac = RbacAuthorizer(caches)
        self._nodes = NodeAuthorizer(caches) if "Node" in modes else None
        members = {"Node": self._nodes, "RBAC": self._rbac}
        self._members = [found for mode in modes if (found := members.get(mode)) is not None]

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        """(allowed, reason)"""
        if self._always or MASTERS in asked.user.groups:
            return True, ""
        reasons = []
        for member in self._members:
            allowed, reason = await member.decide(asked)
            if allowed:
                return True, reason
            if reason:
                reasons.append(reason)
        return False, "\n".join(reasons)

    async def rules(self, user: User, namespace: str) -> Rules:
        """Everything the user may do there."""
        if self._always:
            return Rules(_EVERYTHING)
        found = await self.role_based(user, namespace) if self._rbac in self._members else []
        is_node = self._nodes is not None and self._nodes.is_node(user)
        return Rules(found, NO_LIST if is_node else "")

    async def role_based(self, user: User, namespace: str) -> list[Rule]:
        """What roles give the user there, whatever the modes are: nobody may grant more than that."""
        return (await self._rbac.policy()).rules(user, namespace)

    async def role(self, kind: str, namespace: str, name: str) -> Sequence[CompiledRule] | None:
        """The rules that a roleRef means; None if there is no such role."""
        return await self._rbac.role(kind, namespace, name)

    async def default_policy_is_stored(self) -> None:
        """From now on only what is stored holds. Raises StorageError, NotYet."""
        await self._rbac.default_policy_is_stored()
