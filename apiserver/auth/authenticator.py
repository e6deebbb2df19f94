"""Who makes a request: credentials in the order in which they are tried.

Front proxy headers, client certificate, bearer token (static, bootstrap, service account, OIDC), anonymous. Credentials
that are shown and bad are refused, also where anonymous requests would be served. Tokens are verified with the
audiences of this API; a TokenReview may name others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from apiserver.api import errors
from apiserver.auth.client_certificates import ClientCertificates, Headers
from apiserver.auth.user import ANONYMOUS_USER, AUTHENTICATED, User

_CACHED_SECONDS: Final = 10.0
_CACHE_SIZE: Final = 4096
INVALID: Final = "invalid bearer token"


class Token(NamedTuple):
    """A verified token. ``audiences``: of those that were asked for, the token's."""

    user: User
    audiences: list[str]


class BadToken(ValueError):
    """A token that this source knows and does not accept."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Where requests without credentials are served. No ``paths``: everywhere, if at all."""

    enabled: bool = True
    paths: frozenset[str] = frozenset()

    def may_ask(self, path: str) -> bool:
        return self.enabled and (not self.paths or path in self.paths)


class TokenSource(Protocol):
    """One kind of bearer token."""

    async def authenticate(self, token: str, audiences: Sequence[str]) -> Token | None:
        """None if the token is not of this kind. Raises BadToken."""
        ...


@dataclass(slots=True)
class Authenticator:
    """``clock`` is monotonic seconds: verified tokens are trusted for ten of them. ``audiences``: of this API."""

    certificates: ClientCertificates
    sources: Sequence[TokenSource]
    audiences: Sequence[str]
    anonymous: Anonymous
    clock: Callable[[], float]
    _verified: OrderedDict[str, tuple[float, User]] = field(default_factory=OrderedDict)

    def replace(self, sources: Sequence[TokenSource], anonymous: Anonymous) -> None:
        """From now on. What was verified before has to be verified again."""
        self.sources, self.anonymous = sources, anonymous
        self._verified.clear()

    async def authenticate(self, certificate: bytes | None, headers: Headers, path: str = "") -> User:
        """``certificate``: DER, checked by TLS. Raises 401 for bad credentials, and for none unless anonymous
        requests are served at ``path``."""
        if certificate is not None:
            user = self.certificates.user(certificate, headers)
            if user is not None:
                return user
        token = _bearer(headers.get("Authorization"))
        if token:
            return await self._token_user(token)
        if self.anonymous.may_ask(path):
            return ANONYMOUS_USER
        raise errors.unauthorized()

    async def _token_user(self, token: str) -> User:
        known = self._verified.get(token)
        if known is not None and known[0] > self.clock():
            return known[1]
        asked = self.sources
        try:
            user = (await self.review(token, self.audiences)).user
        except BadToken:
            raise errors.unauthorized() from None
        if asked is self.sources:  # else it was verified by what holds no more
            self._verified[token] = (self.clock() + _CACHED_SECONDS, user)
        while len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return user

    async def review(self, token: str, audiences: Sequence[str]) -> Token:
        """Raises BadToken with what is wrong."""
        faults = []
        for source in self.sources:
            try:
                found = await source.authenticate(token, audiences)
            except BadToken as fault:
                faults.append(str(fault))
                continue
            if found is not None:
                return Token(found.user.with_group(AUTHENTICATED), found.audiences)
        raise BadToken(f"[{INVALID}, {', '.join(faults)}]" if faults else INVALID)


def common(asked: Sequence[str], own: Sequence[str]) -> list[str]:
    return [audience for audience in asked if audience in own]


def _bearer(authorization: str | None) -> str:
    if not authorization:
        return ""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
