"""The order in which credentials are tried: client certificate, static token, service account, anonymous."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from apiserver.api import errors
from apiserver.auth import x509
from apiserver.auth.service_account_tokens import ServiceAccountTokens, TokenError
from apiserver.auth.static_tokens import StaticTokens
from apiserver.auth.user import ANONYMOUS_USER, User

_CACHED_SECONDS = 10.0
_CACHE_SIZE = 4096


@dataclass(slots=True)
class Authenticator:
    """``clock`` is monotonic seconds: verified service account tokens are trusted for ten of them."""

    static: StaticTokens | None
    accounts: ServiceAccountTokens | None
    anonymous: bool
    clock: Callable[[], float]
    _verified: OrderedDict[str, tuple[float, User]]

    @classmethod
    def of(
        cls,
        static: StaticTokens | None,
        accounts: ServiceAccountTokens | None,
        anonymous: bool,
        clock: Callable[[], float],
    ) -> Authenticator:
        return cls(static, accounts, anonymous, clock, OrderedDict())

    async def authenticate(self, certificate: bytes | None, authorization: str | None) -> User:
        """Raises 401 for bad credentials, and for none unless anonymous requests are on."""
        if certificate is not None:
            user = x509.user_of(certificate)
            if user is not None:
                return user
        token = _bearer(authorization)
        if token:
            user = await self.token_user(token)
            if user is None:
                raise errors.unauthorized()
            return user
        if self.anonymous:
            return ANONYMOUS_USER
        raise errors.unauthorized()

    async def token_user(self, token: str) -> User | None:
        if self.static is not None:
            user = self.static.user(token)
            if user is not None:
                return user
        return await self._account_user(token) if self.accounts is not None else None

    async def _account_user(self, token: str) -> User | None:
        known = self._verified.get(token)
        if known is not None and known[0] > self.clock():
            return known[1]
        assert self.accounts is not None
        try:
            user = await self.accounts.verify(token)
        except TokenError:
            return None
        if user is not None:
            self._verified[token] = (self.clock() + _CACHED_SECONDS, user)
            while len(self._verified) > _CACHE_SIZE:
                self._verified.popitem(last=False)
        return user


def _bearer(authorization: str | None) -> str:
    if not authorization:
        return ""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
