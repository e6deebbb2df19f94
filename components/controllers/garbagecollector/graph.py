"""Who owns whom (P): uids of all objects seen, and under each owner's uid the uids of its dependents.

Fed by the informers of every resource; a dependent may be known before its owner, and an owner may never
be seen at all: then only the API server can tell that it is absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object


@dataclass(frozen=True)
class Node:
    gvr: GroupVersionResource
    kind: str
    obj: Object

    @property
    def uid(self) -> str:
        return meta.uid(self.obj)


class Graph:
    """Invariant: `_dependents[u]` holds exactly the uids of known objects with an owner reference to `u`."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def put(self, node: Node) -> None:
        self.remove(node.uid)
        self._nodes[node.uid] = node
        for reference in meta.owner_references(node.obj):
            self._dependents.setdefault(reference["uid"], {})[node.uid] = None

    def remove(self, uid: str) -> None:
        node = self._nodes.pop(uid, None)
        for reference in meta.owner_references(node.obj) if node else ():
            dependents = self._dependents.get(reference["uid"], {})
            dependents.pop(uid, None)
            if not dependents:
                self._dependents.pop(reference["uid"], None)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def dependents(self, uid: str) -> Iterator[Node]:
        return (self._nodes[key] for key in [*self._dependents.get(uid, {})])
