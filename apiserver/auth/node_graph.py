"""(P) Which objects a node has to do with: those that its pods name, and what those name in turn.

    node ← pod ← secret, configmap, service account, resource claim, claim ← volume ← secret
    node ← volume attachment, resource slice

Fed by `node_authorizer` with every stored change. Mirror pods lead nowhere: a node makes them itself, and must not
get at anything by doing so. Source: ``plugin/pkg/auth/authorizer/node/graph.go``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from apiserver.api import meta
from apiserver.auth import pod_references
from apiserver.auth.pod_references import Reference

Object = dict[str, Any]


class NodeGraph:
    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, frozenset[Reference]]] = {}  # pod -> its node, what it names
        self._nodes: dict[Reference, Counter[str]] = {}  # what pods name -> their nodes
        self._claims: dict[str, Reference] = {}  # volume -> its claim
        self._volume_secrets: dict[str, frozenset[Reference]] = {}
        self._volumes: dict[Reference, set[str]] = {}  # secret -> volumes that name it
        self._direct: dict[Reference, str] = {}  # attachment or slice -> its node

    # ---- changes

    def put_pod(self, pod: Object) -> None:
        key = meta.object_key(pod)
        self.remove_pod(key)
        node = (pod.get("spec") or {}).get("nodeName") or ""
        if not node:
            return
        named = frozenset({Reference("pods", meta.namespace(pod), meta.name(pod)), *pod_references.of(pod)})
        self._pods[key] = (node, named)
        for reference in named:
            self._nodes.setdefault(reference, Counter())[node] += 1

    def remove_pod(self, key: str) -> None:
        node, named = self._pods.pop(key, ("", frozenset()))
        for reference in named:
            nodes = self._nodes[reference]
            nodes[node] -= 1
            if not nodes[node]:
                del nodes[node]
            if not nodes:
                del self._nodes[reference]

    def put_volume(self, volume: Object) -> None:
        name = meta.name(volume)
        self.remove_volume(name)
        claim = (volume.get("spec") or {}).get("claimRef")
        if claim:
            namespace = claim.get("namespace") or ""
            self._claims[name] = Reference("persistentvolumeclaims", namespace, claim.get("name") or "")
            secrets = self._volume_secrets[name] = frozenset(pod_references.of_volume(volume))
            for secret in secrets:
                self._volumes.setdefault(secret, set()).add(name)

    def remove_volume(self, name: str) -> None:
        self._claims.pop(name, None)
        for secret in self._volume_secrets.pop(name, ()):
            self._volumes[secret].discard(name)
            if not self._volumes[secret]:
                del self._volumes[secret]

    def put_direct(self, resource: str, name: str, node: str) -> None:
        """A cluster-scoped object that names its node."""
        if node:
            self._direct[Reference(resource, "", name)] = node
        else:
            self.remove_direct(resource, name)

    def remove_direct(self, resource: str, name: str) -> None:
        self._direct.pop(Reference(resource, "", name), None)

    # ---- the question

    def leads(self, resource: str, namespace: str, name: str, node: str) -> bool:
        """Whether the node has to do with the object."""
        reference = Reference(resource, namespace, name)
        if node in self._nodes.get(reference, ()) or self._direct.get(reference) == node:
            return True
        if resource == "persistentvolumes":
            return self._uses_volume(name, node)
        return any(self._uses_volume(volume, node) for volume in self._volumes.get(reference, ()))

    def _uses_volume(self, volume: str, node: str) -> bool:
        claim = self._claims.get(volume)
        return claim is not None and node in self._nodes.get(claim, ())
