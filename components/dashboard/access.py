"""Who the dashboard is when `kuberaft dashboard` opens it: a service account that may look, and drill.

`Access` makes the account and its role as the cluster's administrator, and asks for tokens that end by themselves. The
account reads every resource but Secrets (custom resources too), and the endpoints below `/kuberaft`. It writes nothing
but drills. Leaves out: the page, which takes any token.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from apiserver.api.gvk import GroupVersionResource
from components.client.errors import ApiError
from components.client.transport import ApiClient

NAMESPACE: Final = "kube-system"
NAME: Final = "kuberaft-dashboard"
TOKEN_SECONDS: Final = 3600

_RBAC: Final = "rbac.authorization.k8s.io"
_ACCOUNTS: Final = GroupVersionResource("", "v1", "serviceaccounts")
_ROLES: Final = GroupVersionResource(_RBAC, "v1", "clusterroles")
_BINDINGS: Final = GroupVersionResource(_RBAC, "v1", "clusterrolebindings")
_CORE: Final = Path(__file__).parent / "data" / "core_resources.json"
_READ: Final = ["get", "list", "watch"]


class Access:
    """`client` is an administrator's."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def prepare(self) -> None:
        """Make account, role and binding, or bring the role up to date. Raises ApiError."""
        role = _role(await self._groups())
        try:
            await self._client.create(_ROLES, role)
        except ApiError as error:
            if not error.is_already_exists:
                raise
            await self._client.update(_ROLES, role)
        await self._ensure(_BINDINGS, _binding())
        await self._ensure(_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _account()})

    async def token(self) -> str:
        """A new one, good for an hour. Raises ApiError."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        answer = await self._client.create(
            _ACCOUNTS, request, namespace=NAMESPACE, name=NAME, subresource="token"
        )
        return str(answer["status"]["token"])

    async def _groups(self) -> list[str]:
        """Every API group but the core's, custom resources' among them."""
        code, body = await self._client.raw("GET", "/apis")
        if code != 200:
            raise ApiError(code, "", f"GET /apis: HTTP {code}")
        return sorted(group["name"] for group in json.loads(body)["groups"])

    async def _ensure(self, gvr: GroupVersionResource, obj: dict[str, Any]) -> None:
        try:
            await self._client.create(gvr, obj)
        except ApiError as error:
            if not error.is_already_exists:
                raise


def _account() -> dict[str, str]:
    return {"name": NAME, "namespace": NAMESPACE}


def _role(groups: list[str]) -> dict[str, Any]:
    core = json.loads(_CORE.read_text())
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": [
            {"apiGroups": [""], "resources": core, "verbs": _READ},
            {"apiGroups": groups, "resources": ["*"], "verbs": _READ},
            {"nonResourceURLs": ["/kuberaft/*"], "verbs": ["get", "post", "delete"]},
        ],
    }


def _binding() -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", **_account()}],
    }
