"""ID tokens of an OpenID Connect issuer as bearer tokens: of ``--oidc-*``, or one of an AuthenticationConfiguration.

The issuer's keys are fetched when the first of its tokens comes, and again when a token names an unknown key, at most
every ten seconds. Who the user is says `oidc_claims` or `structured.claim_mapping`. An issuer that cannot be reached
makes its tokens bad, and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.admission.expressions import TooLong, patience
from apiserver.api.field_errors import quote
from apiserver.auth.authenticator import BadToken, Token, common
from apiserver.auth.oidc_claims import BadClaims
from apiserver.auth.user import User
from apiserver.cel.evaluator import Check

Fetch = Callable[[str], Awaitable[Any]]
"""GET of a JSON document. Raises OSError."""
UserOf = Callable[[Mapping[str, Any], Check | None], User]
"""(claims, check) → the user. Raises BadClaims, and what ``check`` raises."""
_DISCOVERY: Final = "/.well-known/openid-configuration"
_PAUSE: Final = 10.0
_LEEWAY: Final = 0


@dataclass(frozen=True)
class Issuer:
    """Whose tokens, for whom. ``discovery_url``: where its document is, if not at the usual place below ``url``."""

    url: str
    audiences: Sequence[str]
    signing_algorithms: Sequence[str]
    discovery_url: str = ""

    @property
    def document(self) -> str:
        return self.discovery_url or self.url.rstrip("/") + _DISCOVERY


class Oidc:
    """``audiences``: of this API. ``clock``: monotonic seconds."""

    def __init__(
        self,
        issuer: Issuer,
        user_of: UserOf,
        audiences: Sequence[str],
        fetch: Fetch,
        clock: Callable[[], float],
    ) -> None:
        self._issuer = issuer
        self._user_of = user_of
        self._audiences = audiences
        self._fetch = fetch
        self._clock = clock
        self._keys: list[Any] = []
        self._fetched_at = float("-inf")

    async def authenticate(self, token: str, audiences: Sequence[str]) -> Token | None:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError:
            return None
        shared = common(audiences, self._audiences)
        if issuer != self._issuer.url or not shared:
            return None
        try:
            claims = await self._verified(token, header)
            return Token(await self._user(claims), shared)
        except (jwt.InvalidTokenError, OSError) as fault:
            raise BadToken(f"oidc: verify token: {fault}") from fault
        except BadClaims as fault:
            raise BadToken(str(fault)) from fault

    async def _user(self, claims: Mapping[str, Any]) -> User:
        """Expressions that take long are worked out beside the event loop."""
        try:
            return self._user_of(claims, patience())
        except TooLong:
            return await asyncio.to_thread(self._user_of, claims, None)

    async def _verified(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        import jwt

        if header.get("alg") not in self._issuer.signing_algorithms:
            raise jwt.InvalidAlgorithmError(f"unexpected signature algorithm {header.get('alg')}")
        options: Any = {"require": ["exp", "iss", "aud"], "verify_iat": False}
        for key in await self._candidates(header.get("kid")):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.key,
                    algorithms=[header["alg"]],
                    audience=self._issuer.audiences,
                    issuer=self._issuer.url,
                    leeway=_LEEWAY,
                    options=options,
                )
                return claims
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
                continue
            except jwt.InvalidAudienceError:
                raise jwt.InvalidAudienceError(self._wrong_audience(token)) from None
        raise jwt.InvalidSignatureError("failed to verify signature: no keys matches jwk keyset")

    def _wrong_audience(self, token: str) -> str:
        import jwt

        found = jwt.decode(token, options={"verify_signature": False}).get("aud")
        return f"oidc: expected audience in {_listed(self._issuer.audiences)} got {_listed(found)}"

    async def _candidates(self, kid: str | None) -> list[Any]:
        """Keys that may have signed: the named one, or all. Raises OSError."""
        found = self._named(kid)
        if not found and self._clock() - self._fetched_at >= _PAUSE:
            self._fetched_at = self._clock()
            self._keys = await self._fetch_keys()
            found = self._named(kid)
        return found

    def _named(self, kid: str | None) -> list[Any]:
        return [key for key in self._keys if kid is None or key.key_id in (None, kid)]

    async def _fetch_keys(self) -> list[Any]:
        import jwt

        document = await self._fetch(self._issuer.document)
        if document.get("issuer") != self._issuer.url:
            raise OSError(
                f"oidc: issuer did not match the issuer returned by provider: {document.get('issuer')}"
            )
        listed = (await self._fetch(document["jwks_uri"])).get("keys") or ()
        keys = []
        for item in listed:
            try:
                keys.append(jwt.PyJWK(item))
            except jwt.PyJWTError:
                continue  # a key of a kind that we do not know signs no token that we accept
        return keys


def _listed(audiences: Any) -> str:
    """As Go prints a list of strings with ``%q``."""
    names = [audiences] if isinstance(audiences, str) else audiences
    return f"[{' '.join(quote(str(name)) for name in names or ())}]"
