"""Service account tokens: signed JWTs bound to a ServiceAccount and optionally to a Pod, Secret or Node.

``issue`` serves the TokenRequest API, ``verify`` the bearer token authenticator. A token is accepted only while
the objects it names exist with the same uid. Keys are PEM files; the first of the signing file signs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from apiserver.auth.user import User, service_account_user

Lookup = Callable[[str, str, str], Awaitable[dict[str, Any] | None]]  # (plural, namespace, name) -> object

_CLAIM: Final = "kubernetes.io"
_BOUND: Final = {"pod": "pods", "secret": "secrets", "node": "nodes"}
_EXTRA: Final = {"pod": "pod", "node": "node"}


class KeyFileError(ValueError):
    """A key file cannot be used."""


class TokenError(ValueError):
    """The token is one of ours but not valid (any more)."""


def load_keys(paths: Sequence[Path]) -> list[Any]:
    """Public keys of the PEM files (private keys count as their public half)."""
    return [_load(path)[1] for path in paths]


def _load(path: Path) -> tuple[Any, Any]:
    from cryptography.hazmat.primitives import serialization

    try:
        data = path.read_bytes()
    except OSError as exc:
        raise KeyFileError(f"service account key {path}: {exc.strerror}") from exc
    try:
        if b"PRIVATE KEY" in data:
            private: Any = serialization.load_pem_private_key(data, password=None)
            return private, private.public_key()
        return None, serialization.load_pem_public_key(data)
    except (ValueError, TypeError) as exc:
        raise KeyFileError(f"service account key {path}: not a PEM key: {exc}") from exc


class ServiceAccountTokens:
    """``issuers``: the first is written into tokens, all are accepted; so are ``audiences`` of the API."""

    def __init__(
        self,
        issuers: Sequence[str],
        key_files: Sequence[Path],
        signing_key_file: Path | None,
        audiences: Sequence[str],
        lookup: Lookup,
        now: Callable[[], datetime],
    ) -> None:
        self.issuers = list(issuers)
        self.audiences = list(audiences) or self.issuers[:1]
        self._lookup = lookup
        self._now = now
        self._signing_key: Any = _load(signing_key_file)[0] if signing_key_file else None
        files = key_files or ([signing_key_file] if signing_key_file else [])
        self.keys = load_keys(files)

    @property
    def can_sign(self) -> bool:
        return self._signing_key is not None

    def algorithms(self) -> set[str]:
        return {_algorithm(key) for key in self.keys} or {"RS256"}

    def public_jwks(self) -> list[dict[str, Any]]:
        """The public keys as JSON Web Keys (RFC 7517)."""
        import jwt.algorithms

        known = jwt.algorithms.get_default_algorithms()
        found = []
        for key in self.keys:
            name = _algorithm(key)
            document: dict[str, Any] = known[name].to_jwk(key, as_dict=True)
            found.append({**document, "use": "sig", "alg": name})
        return found

    def issue(
        self,
        account: dict[str, Any],
        audiences: Sequence[str],
        seconds: int,
        bound: dict[str, dict[str, str]],
        jti: str,
    ) -> tuple[str, datetime]:
        """``bound``: ``{"pod": {"name", "uid"}}``, empty for none. Returns the token and when it expires."""
        import jwt

        meta, issued = account["metadata"], int(self._now().timestamp())
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
        token = jwt.encode(claims, self._signing_key, algorithm=_algorithm(self._signing_key))
        return token, datetime.fromtimestamp(issued + seconds, tz=self._now().tzinfo)

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The user, or None if the token is not one of ours. Raises TokenError."""
        claims = self._claims(token, list(audiences) or self.audiences)
        if claims is None:
            return None
        ours = claims.get(_CLAIM) or {}
        account = ours.get("serviceaccount") or {}
        namespace, name = ours.get("namespace", ""), account.get("name", "")
        await self._check_alive("serviceaccounts", namespace, account)
        extra = (
            {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
            if claims.get("jti")
            else {}
        )
        for key, plural in _BOUND.items():
            if key in ours:
                await self._check_alive(plural, "" if key == "node" else namespace, ours[key])
                if key in _EXTRA:
                    extra[f"authentication.kubernetes.io/{key}-name"] = [ours[key].get("name", "")]
                    extra[f"authentication.kubernetes.io/{key}-uid"] = [ours[key].get("uid", "")]
        return service_account_user(namespace, name, account.get("uid", ""), extra)

    async def _check_alive(self, plural: str, namespace: str, named: dict[str, str]) -> None:
        obj = await self._lookup(plural, namespace, named.get("name", ""))
        if obj is None or obj["metadata"].get("uid") != named.get("uid"):
            raise TokenError(f"{plural} {namespace}/{named.get('name')} of the token is gone")

    def _claims(self, token: str, audiences: list[str]) -> dict[str, Any] | None:
        import jwt

        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return None
        if unverified.get("iss") not in self.issuers:
            return None
        for key in self.keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token, key, algorithms=[_algorithm(key)], audience=audiences, leeway=1
                )
                return claims
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError as exc:
                raise TokenError(str(exc)) from exc
        raise TokenError("token has an invalid signature")


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return {256: "ES256", 384: "ES384", 521: "ES512"}[key.key_size]
    return "RS256"
