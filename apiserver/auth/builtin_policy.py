"""The roles and bindings every cluster starts with, usable before anything is stored.

``data/bootstrap_rbac.json`` is the default policy of Kubernetes. Two identities get more than there: the controller
manager, whose controllers act with its own certificate here and not each with its service account, and the
nodes group, which the node authorizer of the original serves instead of a binding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from apiserver.auth.rbac import Object, Policy

_DATA: Final = Path(__file__).parent / "data" / "bootstrap_rbac.json"
_CONTROLLER: Final = "system:controller:"
_ROLE_API: Final = "rbac.authorization.k8s.io"


@lru_cache(maxsize=1)
def objects() -> dict[str, list[Object]]:
    """``clusterroles``, ``clusterrolebindings``, ``roles``, ``rolebindings`` as they are stored at bootstrap."""
    found: dict[str, list[Object]] = json.loads(_DATA.read_bytes())
    return found


def _binding(name: str, role: str, kind: str, subject: str) -> Object:
    return {
        "metadata": {"name": name},
        "subjects": [{"kind": kind, "apiGroup": _ROLE_API, "name": subject}],
        "roleRef": {"apiGroup": _ROLE_API, "kind": "ClusterRole", "name": role},
    }


@lru_cache(maxsize=1)
def policy() -> Policy:
    data = objects()
    cluster_roles = {role["metadata"]["name"]: role for role in data["clusterroles"]}
    roles = {(r["metadata"]["namespace"], r["metadata"]["name"]): r for r in data["roles"]}
    cluster_bindings = [
        *data["clusterrolebindings"],
        _binding("system:nodes", "system:node", "Group", "system:nodes"),
        *(
            _binding(name, name, "User", "system:kube-controller-manager")
            for name in cluster_roles
            if name.startswith(_CONTROLLER)
        ),
    ]
    by_namespace: dict[str, list[Object]] = {}
    for binding in data["rolebindings"]:
        by_namespace.setdefault(binding["metadata"]["namespace"], []).append(binding)
    return Policy(
        cluster_roles.get,
        lambda namespace, name: roles.get((namespace, name)),
        _constant(cluster_bindings),
        lambda namespace: by_namespace.get(namespace, ()),
        cluster_roles.values,
    )


def _constant(value: list[Any]) -> Callable[[], Iterable[Any]]:
    return lambda: value
