"""Bootstrap tokens and ID tokens of an issuer."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from apiserver.auth.authenticator import BadToken
from apiserver.auth.oidc import Issuer as Issued
from apiserver.auth.oidc import Oidc
from apiserver.auth.oidc_claims import BadClaims, OidcOptions, user_of
from apiserver.auth.token_sources import Bootstrap

Object = dict[str, Any]
NOW = datetime.now(UTC)
GOOD = {
    "token-id": "abcdef",
    "token-secret": "0123456789abcdef",
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": "system:bootstrappers:workers",
}
TOKEN = "abcdef.0123456789abcdef"


def bootstrap(
    token: str, audience: str = "api", kind: str = "bootstrap.kubernetes.io/token", **data: str
) -> Any:
    encoded = {key: b64encode(value.encode()).decode() for key, value in {**GOOD, **data}.items()}

    async def lookup(plural: str, namespace: str, name: str) -> Object | None:
        known = (plural, namespace, name) == ("secrets", "kube-system", "bootstrap-token-abcdef")
        return {"metadata": {}, "type": kind, "data": encoded} if known else None

    return asyncio.run(Bootstrap(lookup, ["api"], lambda: NOW).authenticate(token, [audience]))


def test_a_bootstrap_token() -> None:
    user = bootstrap(TOKEN).user
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:bootstrappers:workers")
    later = (NOW + timedelta(minutes=1)).isoformat()
    assert bootstrap(TOKEN, expiration=later) is not None


@pytest.mark.parametrize(
    ("token", "changes"),
    [
        ("abcdef.0123456789abcdeF", {}),
        ("abcdef.0123456789abcdee", {}),
        ("fedcba.0123456789abcdef", {}),
        (TOKEN, {"audience": "other"}),
        (TOKEN, {"kind": "Opaque"}),
        (TOKEN, {"token-id": "fedcba"}),
        (TOKEN, {"usage-bootstrap-authentication": "false"}),
        (TOKEN, {"expiration": (NOW - timedelta(seconds=1)).isoformat()}),
        (TOKEN, {"expiration": "soon"}),
        (TOKEN, {"auth-extra-groups": "system:masters"}),
    ],
)
def test_bootstrap_tokens_that_are_none(token: str, changes: dict[str, str]) -> None:
    assert bootstrap(token, **changes) is None


ISSUER = "https://issuer.example"
OPTIONS = OidcOptions(ISSUER, "kuberaft", groups_claim="groups", groups_prefix="oidc:")
KEY, STRANGER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class Issuer:
    """Answers as an issuer's server does."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kid = "k1"

    async def fetch(self, url: str) -> Any:
        self.asked.append(url)
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        assert url == f"{ISSUER}/keys"
        return {
            "keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": self.kid, "alg": "RS256"}]
        }


def id_token(key: Any = KEY, kid: str = "k1", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "kuberaft",
        "sub": "jane",
        "exp": int(NOW.timestamp()) + 600,
        "groups": ["a"],
    }
    return jwt.encode({**claims, **changes}, key, algorithm="RS256", headers={"kid": kid})


async def authenticate(source: Oidc, token: str) -> Any:
    return await source.authenticate(token, ["api"])


def source_of(issuer: Issuer, time: list[float]) -> Oidc:
    of = Issued(OPTIONS.issuer_url, [OPTIONS.client_id], OPTIONS.signing_algorithms)
    return Oidc(of, lambda claims, _: user_of(OPTIONS, claims), ["api"], issuer.fetch, lambda: time[0])


def test_an_id_token_names_a_user_with_the_issuers_prefix() -> None:
    found = asyncio.run(authenticate(source_of(Issuer(), [0.0]), id_token()))
    assert (found.user.name, found.user.groups) == (f"{ISSUER}#jane", ("oidc:a",))


@pytest.mark.parametrize(
    "token",
    [
        id_token(STRANGER),
        id_token(aud="another client"),
        id_token(exp=int(NOW.timestamp()) - 60),
        id_token(nbf=int(NOW.timestamp()) + 600),
        jwt.encode({"iss": ISSUER, "aud": "kuberaft", "exp": 9e9, "sub": "x"}, "", algorithm="none"),
        jwt.encode({"iss": ISSUER, "aud": "kuberaft", "exp": 9e9, "sub": "x"}, "s" * 32, algorithm="HS256"),
    ],
)
def test_id_tokens_that_are_not_accepted(token: str) -> None:
    with pytest.raises(BadToken):
        asyncio.run(authenticate(source_of(Issuer(), [0.0]), token))


def test_tokens_of_other_issuers_are_left_to_others() -> None:
    issuer = Issuer()
    assert asyncio.run(authenticate(source_of(issuer, [0.0]), id_token(iss="https://else"))) is None
    assert issuer.asked == []


def test_keys_are_fetched_once_and_again_for_a_new_key_but_not_all_the_time() -> None:
    async def body() -> None:
        issuer, time = Issuer(), [0.0]
        source = source_of(issuer, time)
        for _ in range(3):
            await authenticate(source, id_token())
        assert len(issuer.asked) == 2
        issuer.kid = "k2"
        with pytest.raises(BadToken):
            await authenticate(source, id_token(kid="k2"))
        time[0] = 11.0
        assert await authenticate(source, id_token(kid="k2"))
        assert len(issuer.asked) == 4

    asyncio.run(body())


def test_a_token_with_an_id_of_its_own_is_named_in_the_user_s_extra() -> None:
    extra = user_of(OPTIONS, {"sub": "j", "jti": "id1"}).extra
    assert extra == {"authentication.kubernetes.io/credential-id": ["JTI=id1"]}
    assert user_of(OPTIONS, {"sub": "j"}).extra == user_of(OPTIONS, {"sub": "j", "jti": 1}).extra == {}


@pytest.mark.parametrize(
    ("options", "claims", "name"),
    [
        (OidcOptions("i", "c"), {"sub": "j"}, "i#j"),
        (OidcOptions("i", "c", username_prefix="-"), {"sub": "j"}, "j"),
        (OidcOptions("i", "c", username_prefix="x:"), {"sub": "j"}, "x:j"),
        (OidcOptions("i", "c", username_claim="email"), {"email": "j@x", "email_verified": True}, "j@x"),
        (OidcOptions("i", "c", required_claims={"hd": "x"}), {"sub": "j", "hd": "x"}, "i#j"),
    ],
)
def test_names(options: OidcOptions, claims: Object, name: str) -> None:
    assert user_of(options, claims).name == name


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        (OidcOptions("i", "c"), {}),
        (OidcOptions("i", "c", username_claim="email"), {"email": "j@x", "email_verified": False}),
        (OidcOptions("i", "c", required_claims={"hd": "x"}), {"sub": "j", "hd": "y"}),
        (OidcOptions("i", "c", groups_claim="g"), {"sub": "j", "g": [1]}),
    ],
)
def test_claims_that_do_not_say_enough(options: OidcOptions, claims: Object) -> None:
    with pytest.raises(BadClaims):
        user_of(options, claims)
