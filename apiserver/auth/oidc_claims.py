"""(P) From the claims of a verified ID token to a user, as the flags ``--oidc-*`` say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.auth.user import User

_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"


class BadClaims(ValueError):
    """The token is genuine but does not say what it must; the text is the original's."""


@dataclass(frozen=True)
class OidcOptions:
    """``username_prefix``: None for the default (``ISSUER#``, nothing for e-mail addresses), ``-`` for none."""

    issuer_url: str = ""
    client_id: str = ""
    username_claim: str = "sub"
    username_prefix: str | None = None
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: Mapping[str, str] = field(default_factory=dict)
    signing_algorithms: Sequence[str] = ("RS256",)


def user_of(options: OidcOptions, claims: Mapping[str, Any]) -> User:
    """Raises BadClaims."""
    for name, wanted in options.required_claims.items():
        if claims.get(name) != wanted:
            raise BadClaims(
                f"oidc: required claim {name} value does not match. Got = {claims.get(name)}, want = {wanted}"
            )
    name, groups = _prefix(options) + _username(options, claims), tuple(_groups(options, claims))
    return User(name, groups, extra=credential(claims))


def credential(claims: Mapping[str, Any]) -> dict[str, list[str]]:
    """Which token it was, as the user's extra tells it."""
    jti = claims.get("jti")
    return {_CREDENTIAL: [f"JTI={jti}"]} if isinstance(jti, str) and jti else {}


def _username(options: OidcOptions, claims: Mapping[str, Any]) -> str:
    name = claims.get(options.username_claim)
    if not isinstance(name, str) or not name:
        raise BadClaims(f'oidc: parse username claims "{options.username_claim}": claim not present')
    if options.username_claim == "email" and claims.get("email_verified", True) is not True:
        raise BadClaims("oidc: email not verified")
    return name


def _prefix(options: OidcOptions) -> str:
    if options.username_prefix is None:
        return "" if options.username_claim == "email" else f"{options.issuer_url}#"
    return "" if options.username_prefix == "-" else options.username_prefix


def _groups(options: OidcOptions, claims: Mapping[str, Any]) -> list[str]:
    found = claims.get(options.groups_claim) if options.groups_claim else None
    listed = [found] if isinstance(found, str) else found or []
    if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
        raise BadClaims(f'oidc: parse groups claim "{options.groups_claim}": not a list of strings')
    return [options.groups_prefix + group for group in listed]
