"""ID tokens of an OpenID Connect issuer as bearer tokens (``--oidc-*``).

The issuer's keys are fetched when the first of its tokens comes, and again when a token names an unknown key, at most
every ten seconds. `oidc_claims` says who the user is. An issuer that cannot be reached makes its tokens bad, and no
others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from apiserver.auth.authenticator import BadToken, Token, common
from apiserver.auth.oidc_claims import BadClaims, OidcOptions, user_of

Fetch = Callable[[str], Awaitable[Any]]
"""GET of a JSON document. Raises OSError."""
_DISCOVERY: Final = "/.well-known/openid-configuration"
_PAUSE: Final = 10.0
_LEEWAY: Final = 0


class Oidc:
    """``clock``: monotonic seconds."""

    def __init__(
        self, options: OidcOptions, audiences: Sequence[str], fetch: Fetch, clock: Callable[[], float]
    ) -> None:
        self._options = options
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
        if issuer != self._options.issuer_url or not shared:
            return None
        try:
            claims = await self._verified(token, header)
            return Token(user_of(self._options, claims), shared)
        except (jwt.InvalidTokenError, OSError) as fault:
            raise BadToken(f"oidc: verify token: {fault}") from fault
        except BadClaims as fault:
            raise BadToken(str(fault)) from fault

    async def _verified(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        import jwt

        if header.get("alg") not in self._options.signing_algorithms:
            raise jwt.InvalidAlgorithmError(f"unexpected signature algorithm {header.get('alg')}")
        options: Any = {"require": ["exp", "iss", "aud"], "verify_iat": False}
        for key in await self._candidates(header.get("kid")):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.key,
                    algorithms=[header["alg"]],
                    audience=self._options.client_id,
                    issuer=self._options.issuer_url,
                    leeway=_LEEWAY,
                    options=options,
                )
                return claims
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
                continue
        raise jwt.InvalidSignatureError("failed to verify signature: no keys matches jwk keyset")

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

        document = await self._fetch(self._options.issuer_url.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != self._options.issuer_url:
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
