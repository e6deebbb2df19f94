"""Service account tokens: signed JWTs bound to a ServiceAccount and optionally to a Pod, Secret or Node.

``issue`` serves the TokenRequest API, ``verify`` the bearer token authenticator. A token is accepted only while
the objects it names exist with the same uid. Which keys there are is known to `token_keys`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from apiserver.api import meta
from apiserver.auth.token_keys import PublicKey, TokenKeys, algorithm
from apiserver.auth.user import SERVICE_ACCOUNT_PREFIX, User, service_account_user

Lookup = Callable[[str, str, str], Awaitable[dict[str, Any] | None]]  # (plural, namespace, name) -> object

_CLAIM: Final = "kubernetes.io"
_BOUND: Final = {"pod": "pods", "secret": "secrets", "node": "nodes"}
_EXTRA: Final = "authentication.kubernetes.io/"
_DELETED_LEEWAY: Final = timedelta(seconds=60)
_WORDS: Final = {
    "ExpiredSignatureError": "service account token has expired",
    "ImmatureSignatureError": "service account token is not valid yet",
    "InvalidAudienceError": "token audiences are not valid for this server",
}


class TokenError(ValueError):
    """The token is one of ours but not valid (any more)."""


class _Named(msgspec.Struct):
    name: str = ""
    uid: str = ""


class _Private(msgspec.Struct):
    """The shape of the claim ``kubernetes.io``."""

    namespace: str = ""
    serviceaccount: _Named | None = None
    pod: _Named | None = None
    secret: _Named | None = None
    node: _Named | None = None


class Verified(NamedTuple):
    """``audiences``: of those that were asked for, the token's."""

    user: User
    audiences: list[str]


class ServiceAccountTokens:
    """``issuers``: the first is written into tokens, all are accepted; so are ``audiences`` of the API."""

    def __init__(
        self,
        issuers: Sequence[str],
        keys: TokenKeys,
        audiences: Sequence[str],
        lookup: Lookup,
        now: Callable[[], datetime],
    ) -> None:
        self.issuers = list(issuers)
        self.audiences = list(audiences) or self.issuers[:1]
        self._lookup = lookup
        self._now = now
        self.keys = keys

    def public_jwks(self) -> list[dict[str, Any]]:
        """The public keys as JSON Web Keys (RFC 7517)."""
        import jwt.algorithms

        known = jwt.algorithms.get_default_algorithms()
        found = []
        for kid, key in self.keys.public.items():
            name = algorithm(key)
            document: dict[str, Any] = known[name].to_jwk(key, as_dict=True)
            found.append({**document, "use": "sig", "alg": name, "kid": kid})
        return found

    def issue(
        self,
        account: dict[str, Any],
        audiences: Sequence[str],
        seconds: int,
        bound: dict[str, dict[str, str]],
        jti: str,
    ) -> tuple[str, datetime]:
        """``bound``: ``{"pod": {"name", "uid"}}``, with the pod's node beside it; empty for none.

        Returns the token and when it expires.
        """
        import jwt

        assert self.keys.signing is not None, "the caller looks"
        (key, kid), meta, issued = self.keys.signing, account["metadata"], int(self._now().timestamp())
        claims = {
            "aud": list(audiences),
            "exp": issued + seconds,
            "iat": issued,
            "iss": self.issuers[0],
            "jti": jti,
            _CLAIM: {
                "namespace": meta["namespace"],
                "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
                **bound,
            },
            "nbf": issued,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        token = jwt.encode(claims, key, algorithm=algorithm(key), headers={"kid": kid})
        return token, datetime.fromtimestamp(issued + seconds, tz=self._now().tzinfo)

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> Verified | None:
        """None if the token is not one of ours. Raises TokenError. ``audiences``: one of them must be the token's."""
        wanted = list(audiences) or self.audiences
        claims = self._claims(token, wanted)
        if claims is None:
            return None
        ours = _private_claims(claims)
        account = ours.get("serviceaccount") or {}
        namespace, name = ours.get("namespace", ""), account.get("name", "")
        if claims.get("sub") != f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}":
            raise TokenError("sub claim must match the service account of the private claims")
        await self._check_alive("serviceaccounts", namespace, account)
        bound = next((key for key in _BOUND if key in ours), None)
        if bound is not None:  # a pod's token names its node, which may go before the pod does
            await self._check_alive(_BOUND[bound], "" if bound == "node" else namespace, ours[bound])
        user = service_account_user(namespace, name, account.get("uid", ""), _extra(claims, ours))
        return Verified(user, [audience for audience in wanted if audience in claims["aud"]])

    async def _check_alive(self, plural: str, namespace: str, named: dict[str, str]) -> None:
        obj = await self._lookup(plural, namespace, named.get("name", ""))
        if obj is None or obj["metadata"].get("uid") != named.get("uid"):
            raise TokenError("service account token has been invalidated")
        deleted = obj["metadata"].get("deletionTimestamp")
        if deleted and self._now() > meta.parse_time(deleted) + _DELETED_LEEWAY:
            raise TokenError("service account token has been invalidated")

    def _claims(self, token: str, audiences: list[str]) -> dict[str, Any] | None:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return None
        if unverified.get("iss") not in self.issuers:
            return None
        named = self.keys.public.get(header.get("kid") or "")
        for key in self.keys.public.values() if named is None else [named]:
            claims = self._verified_claims(token, key, audiences)
            if claims is not None:
                return claims
        raise TokenError("token has an invalid signature")

    def _verified_claims(self, token: str, key: PublicKey, audiences: list[str]) -> dict[str, Any] | None:
        """None if another key has signed it. The algorithm is the key's, whatever the token says."""
        import jwt

        try:
            options: Any = {"require": ["exp", "iat", "aud", "sub"], "verify_iat": False}
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm(key)], audience=audiences, leeway=1, options=options
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            return None
        except jwt.InvalidTokenError as exc:
            raise TokenError(_WORDS.get(type(exc).__name__) or str(exc)) from exc
        aud = claims["aud"]
        return {**claims, "aud": [aud] if isinstance(aud, str) else aud}


def _private_claims(claims: dict[str, Any]) -> dict[str, Any]:
    """Raises TokenError for a shape that this server never signs."""
    ours = claims.get(_CLAIM) or {}
    try:
        msgspec.convert(ours, _Private)
    except msgspec.ValidationError as exc:
        raise TokenError(f"the private claims of the token cannot be read: {exc}") from exc
    return dict(ours)


def _extra(claims: dict[str, Any], ours: dict[str, Any]) -> dict[str, list[str]]:
    """What the user shows of the token: its id, its pod, its node."""
    extra = {f"{_EXTRA}credential-id": [f"JTI={claims['jti']}"]} if claims.get("jti") else {}
    for key in ("pod", "node"):
        for field in ("name", "uid"):
            if key in ours and ours[key].get(field):
                extra[f"{_EXTRA}{key}-{field}"] = [ours[key][field]]
    return extra
