"""The roles and bindings every cluster starts with, and what holds besides those that are stored.

``data/bootstrap_rbac.json`` is the default policy of Kubernetes: `apiserver.http.bootstrap` stores it and keeps it
up to date, and until that is done it holds as it is; ``data/kuberaft_rbac.json`` is what this project adds. Two
identities always have more than is stored: the controller manager, whose controllers act with its own certificate
here and not each with its service account, and the API server where it is the client of kubelets, and of the other
masters' records.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Final

from apiserver.auth.policy import Policy, policy_of
from apiserver.auth.rbac import GROUP, Object

_DATA: Final = Path(__file__).parent / "data" / "bootstrap_rbac.json"
_OWN: Final = Path(__file__).parent / "data" / "kuberaft_rbac.json"
_INSIGHT: Final = "kuberaft:insight"
_CONTROLLER: Final = "system:controller:"
_MANAGER: Final = "system:kube-controller-manager"
_AT_KUBELETS: Final = "kube-apiserver-kubelet-client"


@lru_cache(maxsize=1)
def objects() -> dict[str, list[Object]]:
    """``clusterroles``, ``clusterrolebindings``, ``roles``, ``rolebindings`` as they are stored at bootstrap."""
    found: dict[str, list[Object]] = json.loads(_DATA.read_bytes())
    for kind, own in json.loads(_OWN.read_bytes()).items():
        found[kind] = [*found[kind], *own]
    return found


@lru_cache(maxsize=1)
def standing_bindings() -> list[Object]:
    """Bindings that hold though they are not stored: of a cluster's own components, which could not work without."""
    names = [role["metadata"]["name"] for role in objects()["clusterroles"]]
    of_manager = [_standing(_MANAGER, name) for name in names if name.startswith(_CONTROLLER)]
    at_kubelets = [_standing(_AT_KUBELETS, role) for role in ("system:kubelet-api-admin", _INSIGHT)]
    return [*of_manager, *at_kubelets]


def _standing(user: str, role: str) -> Object:
    return {
        "metadata": {"name": f"{user}:{role}"},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": user}],
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
    }


def policy() -> Policy:
    """As it will be once everything is stored."""
    data = objects()
    return policy_of(
        chain(data["clusterroles"], data["roles"]),
        chain(data["clusterrolebindings"], data["rolebindings"], standing_bindings()),
    )


def node_rules() -> list[Object]:
    """What the node authorizer allows every node, besides what it decides object by object."""
    return next(list(r["rules"]) for r in objects()["clusterroles"] if r["metadata"]["name"] == "system:node")
