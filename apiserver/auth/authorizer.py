"""May this user do this? Asked once per request by the chain, and by the access reviews.

Members of ``system:masters`` may do everything; then the modes of ``--authorization-mode``, or the authorizers of
``--authorization-config``, are asked in their order, and the first that says yes or no decides; only webhooks ever say
no. ``RBAC`` holds the stored roles and bindings, ``Node`` kubelets. Until the default policy is stored for the first
time, it holds as if it were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from apiserver.auth import builtin_policy
from apiserver.auth.feed import Feed
from apiserver.auth.node_authorizer import NO_LIST, NodeAuthorizer
from apiserver.auth.policy import Policy, aggregate
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


class Decision(NamedTuple):
    """``denied``: nobody else is asked. ``error``: what kept an authorizer from knowing better."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""


class Member(Protocol):
    """One authorizer: (allowed, reason), or a whole `Decision`."""

    async def decide(self, asked: Attributes) -> tuple[bool, str] | Decision: ...


class Client(Protocol):
    async def close(self) -> None: ...


class _Fixed:
    """``AlwaysAllow`` and ``AlwaysDeny``, which has no opinion, as in the original."""

    def __init__(self, allowed: bool, reason: str = "") -> None:
        self.answer = (allowed, reason)

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        return self.answer


_FIXED: Final = {"AlwaysAllow": _Fixed(True), "AlwaysDeny": _Fixed(False, "Everything is forbidden.")}


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
    """``modes`` in their order. ``clients`` of webhooks are closed with it."""

    def __init__(self, modes: Sequence[str | Member], caches: Caches) -> None:
        self._caches = caches
        self._rbac = RbacAuthorizer(caches)
        self._nodes: NodeAuthorizer | None = None
        self._members: list[Member] = []
        self.clients: list[Client] = []
        self.use(modes)

    def use(self, modes: Sequence[str | Member]) -> None:
        """From now on. What was known of roles and nodes is kept."""
        self._members = [self._own(mode) if isinstance(mode, str) else mode for mode in modes]

    def _own(self, mode: str) -> Member:
        if mode == "Node":
            self._nodes = self._nodes or NodeAuthorizer(self._caches)
            return self._nodes
        return self._rbac if mode == "RBAC" else _FIXED[mode]

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        """(allowed, reason)"""
        found = await self.authorize(asked)
        return found.allowed, found.reason

    async def authorize(self, asked: Attributes) -> Decision:
        if MASTERS in asked.user.groups:
            return Decision(True)
        reasons, faults = [], []
        for member in self._members:
            found = Decision(*await member.decide(asked))
            if found.allowed or found.denied:
                return found
            if found.reason:
                reasons.append(found.reason)
            if found.error:
                faults.append(found.error)
        return Decision(False, "\n".join(reasons), error=aggregate(faults) if faults else "")

    async def rules(self, user: User, namespace: str) -> Rules:
        """Everything the user may do there, as far as it can be told."""
        if _FIXED["AlwaysAllow"] in self._members:
            return Rules(_EVERYTHING)
        found = await self.role_based(user, namespace) if self._rbac in self._members else []
        faults = [text for member in self._members if (text := self._no_list(member, user))]
        return Rules(found, aggregate(faults) if faults else "")

    def _no_list(self, member: Member, user: User) -> str:
        if member is self._nodes and self._nodes is not None:
            return NO_LIST if self._nodes.is_node(user) else ""
        return getattr(member, "NO_LIST", "")

    async def close(self) -> None:
        for client in self.clients:
            await client.close()

    async def role_based(self, user: User, namespace: str) -> list[Rule]:
        """What roles give the user there, whatever the modes are: nobody may grant more than that."""
        return (await self._rbac.policy()).rules(user, namespace)

    async def role(self, kind: str, namespace: str, name: str) -> Sequence[CompiledRule] | None:
        """The rules that a roleRef means; None if there is no such role."""
        return await self._rbac.role(kind, namespace, name)

    async def default_policy_is_stored(self) -> None:
        """From now on only what is stored holds. Raises StorageError, NotYet."""
        await self._rbac.default_policy_is_stored()
