"""The kinds of bearer tokens as `authenticator.TokenSource`: static, service account, bootstrap.

Static and bootstrap tokens know no audiences: they are good for those of this API.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from apiserver.api import meta
from apiserver.auth.authenticator import BadToken, Token, common
from apiserver.auth.service_account_tokens import Lookup, ServiceAccountTokens, TokenError
from apiserver.auth.static_tokens import StaticTokens
from apiserver.auth.user import User

_BOOTSTRAP: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_SECRET_TYPE: Final = "bootstrap.kubernetes.io/token"
_GROUP: Final = "system:bootstrappers"
_EXTRA_GROUP: Final = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class Static:
    def __init__(self, tokens: StaticTokens, audiences: Sequence[str]) -> None:
        self._tokens = tokens
        self._audiences = audiences

    async def authenticate(self, token: str, audiences: Sequence[str]) -> Token | None:
        user, shared = self._tokens.user(token), common(audiences, self._audiences)
        return Token(user, shared) if user is not None and shared else None


class ServiceAccounts:
    def __init__(self, tokens: ServiceAccountTokens) -> None:
        self._tokens = tokens

    async def authenticate(self, token: str, audiences: Sequence[str]) -> Token | None:
        try:
            found = await self._tokens.verify(token, audiences)
        except TokenError as fault:
            raise BadToken(str(fault)) from fault
        return Token(*found) if found is not None else None


class Bootstrap:
    """Tokens of joining nodes: Secrets in ``kube-system`` (``plugin/pkg/auth/authenticator/token/bootstrap``)."""

    def __init__(self, lookup: Lookup, audiences: Sequence[str], now: Callable[[], datetime]) -> None:
        self._lookup = lookup
        self._audiences = audiences
        self._now = now

    async def authenticate(self, token: str, audiences: Sequence[str]) -> Token | None:
        parts, shared = _BOOTSTRAP.fullmatch(token), common(audiences, self._audiences)
        if parts is None or not shared:
            return None
        secret = await self._lookup("secrets", "kube-system", f"bootstrap-token-{parts[1]}")
        user = _bootstrap_user(secret, parts[1], parts[2], self._now()) if secret else None
        return Token(user, shared) if user is not None else None


def _bootstrap_user(secret: dict[str, Any], key: str, value: str, now: datetime) -> User | None:
    data = {name: _decoded(text) for name, text in (secret.get("data") or {}).items()}
    if secret.get("type") != _SECRET_TYPE or meta.is_deleting(secret):
        return None
    if (
        not hmac.compare_digest(data.get("token-secret", "").encode(), value.encode())
        or data.get("token-id") != key
    ):
        return None
    if is_expired(data.get("expiration", ""), now) or data.get("usage-bootstrap-authentication") != "true":
        return None
    extra = [group for group in data.get("auth-extra-groups", "").split(",") if group]
    if not all(_EXTRA_GROUP.fullmatch(group) for group in extra):
        return None
    return User(f"system:bootstrap:{key}", (_GROUP, *sorted(set(extra))))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def is_expired(expiration: str, now: datetime) -> bool:
    """What cannot be read has expired; what has no end has not."""
    if not expiration:
        return False
    try:
        return meta.parse_time(expiration) < now
    except ValueError:
        return True
