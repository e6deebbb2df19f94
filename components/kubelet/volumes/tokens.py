"""Service account tokens for projected volumes: asked for through TokenRequest, kept until they need renewal.

As the original's token manager: a token is renewed at 80 % of its life or after 24 h, whichever is first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apiserver.api.meta import parse_time
from components.client.errors import ApiError
from components.client.resources import SERVICE_ACCOUNTS
from components.client.transport import ApiClient
from components.kubelet.objects import ObjectMissing

Object = dict[str, Any]
_DAY = 86400.0


class TokenManager:
    def __init__(self, client: ApiClient, now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now
        self._tokens: dict[tuple[str, str, int, str], tuple[str, float]] = {}  # -> (token, renew at)

    async def token(self, pod: Object, source: Object) -> str:
        """A token bound to `pod`. Raises ObjectMissing with the server's words."""
        meta, wanted = pod["metadata"], int(source.get("expirationSeconds") or 3600)
        account = pod["spec"].get("serviceAccountName") or "default"
        key = (meta["uid"], source.get("audience") or "", wanted, account)
        known = self._tokens.get(key)
        if known is not None and self._now().timestamp() < known[1]:
            return known[0]
        try:
            answer = await self._request(pod, account, source.get("audience"), wanted)
        except ApiError as error:
            raise ObjectMissing(f"failed to fetch token: {error.message}") from error
        status, now = answer["status"], self._now().timestamp()
        life = parse_time(status["expirationTimestamp"]).timestamp() - now
        self._tokens[key] = (status["token"], now + min(life * 0.8, _DAY))
        return str(status["token"])

    def renew_after(self, uid: str) -> float | None:
        """Seconds until a token of this pod needs renewal; None if it has none."""
        now = self._now().timestamp()
        times = [renew - now for key, (_, renew) in self._tokens.items() if key[0] == uid]
        return max(min(times), 1.0) if times else None

    def forget(self, uid: str) -> None:
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]

    async def _request(self, pod: Object, account: str, audience: str | None, seconds: int) -> Object:
        meta = pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        body: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else None,
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
            },
        }
        return await self._client.create(
            SERVICE_ACCOUNTS, body, namespace=meta["namespace"], name=account, subresource="token"
        )
