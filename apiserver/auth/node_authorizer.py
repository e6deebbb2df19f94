"""The node authorizer: keeps the graph from the watch caches, and asks it where `node_rules` leaves the answer open.

A kubelet may know of its pod before this server's cache does. So a refusal is given only once the cache has seen
everything that was stored before the question.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from apiserver.auth import builtin_policy, node_rules
from apiserver.auth.feed import Feed
from apiserver.auth.node_graph import NodeGraph
from apiserver.auth.node_rules import Asks
from apiserver.auth.rbac import Attributes, CompiledRule
from apiserver.auth.user import User
from apiserver.storage.cacher import Caches
from apiserver.storage.entry import Entry

_DIRECT: Final = ("volumeattachments", "resourceslices")
NO_LIST: Final = "node authorizer does not support user rule resolution"


class NodeAuthorizer:
    def __init__(self, caches: Caches) -> None:
        graph = self._graph = NodeGraph()
        self._rules = tuple(CompiledRule(rule) for rule in builtin_policy.node_rules())
        self._feeds = [
            Feed(caches.of("/registry/pods/"), lambda e: graph.put_pod(e.object()), graph.remove_pod),
            Feed(
                caches.of("/registry/persistentvolumes/"),
                lambda e: graph.put_volume(e.object()),
                graph.remove_volume,
            ),
            *(
                Feed(
                    caches.of(f"/registry/{resource}/"),
                    partial(self._put_direct, resource),
                    partial(graph.remove_direct, resource),
                )
                for resource in _DIRECT
            ),
        ]

    def _put_direct(self, resource: str, entry: Entry) -> None:
        obj = entry.object()
        self._graph.put_direct(
            resource, obj["metadata"]["name"], (obj.get("spec") or {}).get("nodeName") or ""
        )

    @staticmethod
    def is_node(user: User) -> bool:
        return node_rules.node_of(user) is not None

    async def decide(self, asked: Attributes) -> tuple[bool, str]:
        """(allowed, reason of the refusal); who is no node is refused without a reason."""
        node = node_rules.node_of(asked.user)
        if node is None:
            return False, ""
        outcome = node_rules.decide(node, asked, self._rules)
        if isinstance(outcome, Asks):
            related = await self._related(node, outcome)
            return related, "" if related else node_rules.no_relationship(node)
        return (outcome, "") if isinstance(outcome, bool) else (False, outcome)

    async def _related(self, node: str, asks: Asks) -> bool:
        for feed in self._feeds:
            await feed.ready()
        if self._leads(node, asks):
            return True
        for feed in self._feeds:
            await feed.cache.wait_current()
        return self._leads(node, asks)

    def _leads(self, node: str, asks: Asks) -> bool:
        for feed in self._feeds:
            feed.poll()
        return self._graph.leads(asks.resource, asks.namespace, asks.name, node)
