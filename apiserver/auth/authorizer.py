"""May this user do this? Asked once per request by the chain, and by the access reviews.

``AlwaysAllow`` allows everything. In every other mode members of ``system:masters`` may do everything and the
built-in policy holds; ``RBAC`` adds the stored roles and bindings, read from the watch cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from apiserver.auth import builtin_policy
from apiserver.auth.rbac import Attributes, Object, Policy, Rule
from apiserver.auth.user import MASTERS, User
from apiserver.storage.cacher import Caches, ResourceCache

MODES: Final = ("AlwaysAllow", "Node", "RBAC")
KINDS: Final = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")


class Authorizer:
    def __init__(self, modes: Sequence[str], caches: Caches) -> None:
        self._always = "AlwaysAllow" in modes
        self._caches = {kind: caches.of(f"/registry/{kind}/") for kind in KINDS} if "RBAC" in modes else {}
        self._stored = self._stored_policy() if self._caches else None

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        """(allowed, reason)"""
        if self._always or MASTERS in asked.user.groups:
            return True, ""
        reason = builtin_policy.policy().allows(asked)
        if reason is None and self._stored is not None:
            for cache in self._caches.values():
                await cache.ready()
            reason = self._stored.allows(asked)
        return reason is not None, reason or ""

    async def rules(self, user: User, namespace: str) -> list[Rule]:
        """Everything the user may do there."""
        if self._always or MASTERS in user.groups:
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            return [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        found = [rule for rule, _ in builtin_policy.policy().rules(user, namespace)]
        if self._stored is not None:
            for cache in self._caches.values():
                await cache.ready()
            found += [r for r, _ in self._stored.rules(user, namespace) if r not in found]
        return found

    def _stored_policy(self) -> Policy:
        caches = self._caches

        def one(kind: str, *path: str) -> Object | None:
            entry = caches[kind].get(caches[kind].prefix + "/".join(path))
            return entry.object() if entry else None

        return Policy(
            lambda name: one("clusterroles", name),
            lambda namespace, name: one("roles", namespace, name),
            lambda: _all(caches["clusterrolebindings"]),
            lambda namespace: _all(caches["rolebindings"], f"{namespace}/"),
            lambda: _all(caches["clusterroles"]),
        )


def _all(cache: ResourceCache, under: str = "") -> Iterable[Object]:
    return [entry.object() for entry in cache.select(cache.prefix + under)]
