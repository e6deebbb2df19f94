"""Attacks on service account tokens: each is refused, and for its own reason."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from apiserver.auth import token_keys
from apiserver.auth.service_account_tokens import ServiceAccountTokens, TokenError
from apiserver.auth.token_keys import TokenKeys
from tests.conformance.server import write_signing_key

Object = dict[str, Any]
ISSUER, OTHER = "https://issuer", "https://other"
ACCOUNT = {"metadata": {"namespace": "ns", "name": "robot", "uid": "sa-uid"}}
POD = {"name": "p", "uid": "pod-uid"}


class Bench:
    """Tokens over objects that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.objects: dict[tuple[str, str, str], Object] = {
            ("serviceaccounts", "ns", "robot"): ACCOUNT,
            ("pods", "ns", "p"): {"metadata": {"uid": "pod-uid"}},
            ("nodes", "", "n1"): {"metadata": {"uid": "node-uid"}},
        }
        self.key = folder / "sa.key"
        keys = TokenKeys()
        token_keys.follow(keys, [], self.key)
        self.tokens = ServiceAccountTokens([ISSUER], keys, ["api"], self._lookup, lambda: self.now)

    async def _lookup(self, plural: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((plural, namespace, name))

    def issue(self, *audiences: str, **bound: dict[str, str]) -> str:
        return self.tokens.issue(ACCOUNT, audiences or ["api"], 3600, bound, "jti")[0]

    def claims(self) -> Object:
        found: Object = jwt.decode(self.issue(), options={"verify_signature": False})
        return found

    def forge(self, key: Any = None, algorithm: str = "RS256", **changes: Any) -> str:
        """A token of the server's own key whose claims are changed; None removes one."""
        claims = {name: value for name, value in {**self.claims(), **changes}.items() if value is not None}
        return jwt.encode(claims, key or self.key.read_bytes(), algorithm=algorithm)

    def user(self, token: str, *audiences: str) -> Any:
        found = asyncio.run(self.tokens.verify(token, audiences))
        return found and found.user

    def refusal(self, token: str, *audiences: str) -> str:
        with pytest.raises(TokenError) as info:
            asyncio.run(self.tokens.verify(token, audiences))
        return str(info.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    write_signing_key(made / "sa.key")
    return made


@pytest.fixture
def bench(folder: Path) -> Bench:
    return Bench(folder)


def test_a_good_token_says_all_about_its_user(bench: Bench) -> None:
    user = bench.user(bench.issue(pod=POD, node={"name": "n1", "uid": "node-uid"}))
    assert user.name == "system:serviceaccount:ns:robot"
    assert user.uid == "sa-uid"
    prefix = "authentication.kubernetes.io/"
    assert user.extra == {
        f"{prefix}credential-id": ["JTI=jti"],
        f"{prefix}node-name": ["n1"],
        f"{prefix}node-uid": ["node-uid"],
        f"{prefix}pod-name": ["p"],
        f"{prefix}pod-uid": ["pod-uid"],
    }


def test_audiences(bench: Bench) -> None:
    vault = bench.issue("vault", "other")
    assert bench.refusal(vault) == "token audiences are not valid for this server"
    found = asyncio.run(bench.tokens.verify(vault, ["x", "vault"]))
    assert found is not None
    assert found.audiences == ["vault"]


HOUR = 3600


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        (lambda now: {"exp": now - 60}, "service account token has expired"),
        (lambda now: {"nbf": now + HOUR}, "service account token is not valid yet"),
        (lambda now: {"exp": None}, 'Token is missing the "exp" claim'),
        (lambda now: {"aud": None}, 'Token is missing the "aud" claim'),
        (lambda now: {"sub": "system:serviceaccount:kube-system:admin"},
         "sub claim must match the service account of the private claims"),
    ],
)  # fmt: skip
def test_claims_that_do_not_hold(bench: Bench, changes: Callable[[int], Object], refusal: str) -> None:
    assert bench.refusal(bench.forge(**changes(int(bench.now.timestamp())))) == refusal


def test_another_issuer_is_not_ours_to_judge(bench: Bench) -> None:
    assert bench.user(bench.forge(iss=OTHER)) is None
    assert bench.user("not.a.token") is None


def test_another_key_signs_nothing(bench: Bench, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "other.key").read_bytes()
    assert bench.refusal(bench.forge(stranger)) == "token has an invalid signature"


def test_no_signature_at_all(bench: Bench) -> None:
    claims = bench.claims()
    assert bench.refusal(jwt.encode(claims, "", algorithm="none")) == "token has an invalid signature"


def test_the_public_key_as_a_shared_secret(bench: Bench) -> None:
    """The old confusion: HS256 with the public key, which everybody knows."""
    [key] = bench.tokens.keys.public.values()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = [_part({"alg": "HS256", "typ": "JWT"}), _part(bench.claims())]
    signature = hmac.new(public, ".".join(parts).encode(), hashlib.sha256).digest()
    token = ".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=").decode()])
    assert bench.refusal(token) == "token has an invalid signature"


def _part(value: Object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_changed_claims_break_the_signature(bench: Bench) -> None:
    header, _, signature = bench.issue().split(".")
    claims = {**bench.claims(), "exp": int(bench.now.timestamp()) + 10 * HOUR}
    assert bench.refusal(f"{header}.{_part(claims)}.{signature}") == "token has an invalid signature"


@pytest.mark.parametrize("key", [("serviceaccounts", "ns", "robot"), ("pods", "ns", "p")])
def test_a_token_dies_with_its_account_and_its_pod(bench: Bench, key: tuple[str, str, str]) -> None:
    token, gone = bench.issue(pod=POD), "service account token has been invalidated"
    stored = bench.objects[key]
    bench.objects[key] = {"metadata": {**stored["metadata"], "uid": "made anew"}}
    assert bench.refusal(token) == gone
    del bench.objects[key]
    assert bench.refusal(token) == gone
    late = (bench.now - timedelta(seconds=61)).isoformat()
    bench.objects[key] = {"metadata": {**stored["metadata"], "deletionTimestamp": late}}
    assert bench.refusal(token) == gone
    soon = (bench.now - timedelta(seconds=59)).isoformat()
    bench.objects[key] = {"metadata": {**stored["metadata"], "deletionTimestamp": soon}}
    assert bench.user(token) is not None


def test_a_node_token_dies_with_its_node_and_a_pod_token_does_not(bench: Bench) -> None:
    node = {"name": "n1", "uid": "node-uid"}
    bound, pods = bench.issue(node=node), bench.issue(pod=POD, node=node)
    assert bench.user(bound) is not None
    del bench.objects["nodes", "", "n1"]
    assert bench.refusal(bound) == "service account token has been invalidated"
    assert bench.user(pods) is not None


def test_published_keys_verify_issued_tokens(bench: Bench) -> None:
    """As any relying party does it: by the key id in the token."""
    token = bench.issue("vault")
    kid = jwt.get_unverified_header(token)["kid"]
    published = {item["kid"]: item for item in bench.tokens.public_jwks()}
    found = jwt.decode(
        token, jwt.PyJWK(published[kid]).key, algorithms=["RS256"], audience="vault", issuer=ISSUER
    )
    assert found["sub"] == "system:serviceaccount:ns:robot"
