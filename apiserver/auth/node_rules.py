"""(P) The node authorizer's decisions: what a kubelet may do to which object.

A request for an object that only some nodes may see is left to the graph (`Asks`); the rest is decided here.
Reasons are the original's (``plugin/pkg/auth/authorizer/node/node_authorizer.go``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apiserver.auth.rbac import Attributes, CompiledRule
from apiserver.auth.user import User

PREFIX: Final = "system:node:"
NODES: Final = "system:nodes"
NODE_LEASES: Final = "kube-node-lease"
_OWN_VERBS: Final = frozenset({"get", "create", "update", "patch", "delete"})
_READ: Final = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Asks:
    """The graph decides: does the node have to do with this object?"""

    resource: str
    namespace: str
    name: str


Outcome = bool | str | Asks
"""Allowed, refused with a reason, or a question to the graph. False is a refusal that gives none."""


def node_of(user: User) -> str | None:
    """The node's name if this is a kubelet."""
    if not user.name.startswith(PREFIX) or NODES not in user.groups:
        return None
    return user.name[len(PREFIX) :]


def decide(node: str, asked: Attributes, rules: tuple[CompiledRule, ...]) -> Outcome:
    """``rules``: what all nodes may do with everything that is not decided by itself."""
    own = _DECISIONS.get((asked.group, asked.resource)) if not asked.path else None
    if own is not None:
        return own(node, asked)
    return any(rule.allows(asked) for rule in rules)


def no_relationship(node: str) -> str:
    return f"no relationship found between node '{node}' and this object"


def _related(asked: Attributes) -> Outcome:
    if not asked.name:
        return "No Object name found"
    return Asks(asked.resource, asked.namespace, asked.name)


def _get(node: str, asked: Attributes) -> Outcome:
    if asked.verb != "get":
        return "can only get individual resources of this type"
    if asked.subresource:
        return "cannot get subresource"
    return _related(asked)


def _read_namespaced(node: str, asked: Attributes) -> Outcome:
    if asked.verb not in _READ:
        return "can only read resources of this type"
    if asked.subresource:
        return "cannot read subresource"
    if not asked.namespace:
        return "can only read namespaced object of this type"
    return _related(asked)


def _claim(node: str, asked: Attributes) -> Outcome:
    if asked.subresource != "status":
        return _get(node, asked)
    if asked.verb not in ("update", "patch"):
        return "can only get/update/patch this type"
    return _related(asked)


def _account(node: str, asked: Attributes) -> Outcome:
    if asked.subresource != "token" and asked.verb == "create" and asked.name:
        return "can only create token subresource of serviceaccount"
    if asked.verb != "create" or not asked.name:
        return "can only create tokens for individual service accounts"
    return _related(asked)


def _lease(node: str, asked: Attributes) -> Outcome:
    if asked.verb not in _OWN_VERBS:
        return "can only get, create, update, patch, or delete a node lease"
    if asked.namespace != NODE_LEASES:
        return f'can only access leases in the "{NODE_LEASES}" system namespace'
    if asked.verb != "create" and asked.name != node:
        return "can only access node lease with the same name as the requesting node"
    return True


def _csi_node(node: str, asked: Attributes) -> Outcome:
    if asked.verb not in _OWN_VERBS:
        return "can only get, create, update, patch, or delete a CSINode"
    if asked.subresource:
        return "cannot authorize CSINode subresources"
    if asked.verb != "create" and asked.name != node:
        return "can only access CSINode with the same name as the requesting node"
    return True


def _slice(node: str, asked: Attributes) -> Outcome:
    if asked.subresource:
        return "cannot authorize ResourceSlice subresources"
    if asked.verb == "create":
        return True
    if asked.verb in ("get", "update", "patch", "delete"):
        return _related(asked)
    if asked.verb not in ("watch", "list", "deletecollection"):
        return (
            "only the following verbs are allowed for a ResourceSlice: "
            "get, watch, list, create, update, patch, delete, deletecollection"
        )
    if ("nodeName", node) in asked.fields or ("spec.nodeName", node) in asked.fields:
        return True
    return "can only list/watch/deletecollection resourceslices with nodeName field selector"


def _node(node: str, asked: Attributes) -> Outcome:
    """Whose node may be changed is NodeRestriction's to say."""
    if asked.subresource == "status":
        return asked.verb in ("update", "patch")
    if asked.subresource:
        return False
    if asked.verb in ("create", "update", "patch"):
        return True
    if asked.verb not in _READ:
        return False
    if not asked.name:
        return f"node '{node}' cannot read all nodes, only its own Node object"
    if asked.name != node:
        return f"node '{node}' cannot read '{asked.name}', only its own Node object"
    return True


def _pod(node: str, asked: Attributes) -> Outcome:
    """Which pods may be made, deleted, evicted and reported on is NodeRestriction's to say."""
    if asked.subresource == "status":
        return asked.verb in ("update", "patch")
    if asked.subresource == "eviction":
        return asked.verb == "create"
    if asked.subresource:
        return False
    if asked.verb == "get":
        return _get(node, asked)
    if asked.verb in ("create", "delete"):
        return True
    if asked.verb not in _READ:
        return False
    if ("spec.nodeName", node) in asked.fields:
        return True
    return _related(asked) if asked.name else "can only list/watch pods with spec.nodeName field selector"


_DECISIONS: Final[dict[tuple[str, str], Callable[[str, Attributes], Outcome]]] = {
    ("", "secrets"): _read_namespaced,
    ("", "configmaps"): _read_namespaced,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _get,
    ("", "serviceaccounts"): _account,
    ("", "nodes"): _node,
    ("", "pods"): _pod,
    ("resource.k8s.io", "resourceclaims"): _get,
    ("resource.k8s.io", "resourceslices"): _slice,
    ("storage.k8s.io", "volumeattachments"): _get,
    ("storage.k8s.io", "csinodes"): _csi_node,
    ("coordination.k8s.io", "leases"): _lease,
}
