"""Bearer tokens that are forged, worn out or meant for others, over HTTPS: 401, and not a word why.

The reasons, each of its own, are in `tests/unit/apiserver/auth/test_service_account_tokens.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.attacks.stage import CANARY, NS, Stage
from tests.conformance.server import write_signing_key

HOUR = 3600


@pytest.fixture(scope="module")
def account(stage: Stage) -> dict[str, Any]:
    made: dict[str, Any] = stage.create(f"{NS}/default/serviceaccounts", {"metadata": {"name": "robot"}})
    return made


def token_of(stage: Stage, account: str, bound: dict[str, Any] | None = None, **spec: Any) -> str:
    asked = {"spec": {**spec, **({"boundObjectRef": bound} if bound else {})}}
    answer = stage.create(f"{NS}/default/serviceaccounts/{account}/token", asked)
    return str(answer["status"]["token"])


def signing_key(stage: Stage) -> bytes:
    path = stage.server.server.config.service_account_signing_key_file
    assert path is not None
    return path.read_bytes()


def resigned(stage: Stage, changes: dict[str, Any], key: bytes | None = None) -> str:
    """A token that the server's own key (or another) has signed, with other claims."""
    good = token_of(stage, "robot")
    claims = {**jwt.decode(good, options={"verify_signature": False}), **changes}
    header = {"kid": jwt.get_unverified_header(good)["kid"]}
    return jwt.encode(claims, key or signing_key(stage), algorithm="RS256", headers=header)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refused(stage: Stage, token: str) -> None:
    answer = stage.whoami(token)
    assert (answer.code, answer.message) == (401, "Unauthorized"), answer


def test_the_forger_can_make_a_good_one(stage: Stage, account: dict[str, Any]) -> None:
    answer = stage.whoami(resigned(stage, {}))
    assert answer.body["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + HOUR},
        {"aud": ["vault"]},
        {"aud": []},
        {"iss": "https://elsewhere"},
        {"sub": "system:serviceaccount:kube-system:default"},
        {"exp": "soon"},
        {"exp": None},
        {"kubernetes.io": {}},
        {"kubernetes.io": None},
        {"kubernetes.io": [CANARY]},
        {"kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "robot", "uid": "x"}}},
        {"kubernetes.io": {"namespace": "default", "serviceaccount": {"name": 5, "uid": {}}}},
    ],
)
def test_claims(stage: Stage, account: dict[str, Any], changes: dict[str, Any]) -> None:
    refused(stage, resigned(stage, changes))


def test_signatures(stage: Stage, account: dict[str, Any], tmp_path: Path) -> None:
    good = token_of(stage, "robot")
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    public = serialization.load_pem_private_key(signing_key(stage), None).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
    digest = hmac.new(pem, signed.encode(), hashlib.sha256).digest()
    confused = f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    stranger = write_signing_key(tmp_path / "stranger.key").read_bytes()
    unsigned = [f"{part({'alg': alg, 'kid': kid})}.{part(claims)}." for alg in ("none", "None", "NONE", "")]
    cut = good.rsplit(".", 1)[0]
    for token in (
        *unsigned,
        confused,
        resigned(stage, {}, stranger),
        cut,
        f"{cut}.",
        f"{good}x",
        f"{good}.x",
    ):
        refused(stage, token)


@pytest.mark.parametrize(
    "token",
    [
        CANARY,
        "a.b.c",
        "..",
        f"{part({'alg': 'RS256', 'kid': [CANARY]})}.{part({})}.x",
        f"{part({'alg': 'RS256', 'jku': 'https://127.0.0.1:1/'})}.{part({'iss': CANARY})}.x",
        f"{part('x')}.{part(5)}.x",
        "x" * 60_000,
        "a." * 20_000,
    ],
)
def test_what_is_no_token(stage: Stage, token: str) -> None:
    refused(stage, token)


@pytest.mark.parametrize("scheme", ["Basic YWRtaW46YWRtaW4=", "bearer", "Bearer ", "Bearer a b", "Digest x"])
def test_other_schemes_name_nobody(stage: Stage, scheme: str) -> None:
    """Neither are they answered as somebody's: anonymous, or refused."""
    assert stage.ask("GET", f"{NS}/default/secrets/plain", token=None, Authorization=scheme).code in (
        401,
        403,
    )


@pytest.mark.parametrize("kind", ["Pod", "Secret", "ServiceAccount"])
def test_a_token_ends_with_what_it_is_bound_to(stage: Stage, kind: str) -> None:
    name = f"gone-{kind.lower()}"
    stage.create(f"{NS}/default/serviceaccounts", {"metadata": {"name": name}})
    spec = {"serviceAccountName": name, "containers": [{"name": "c", "image": "x"}]}
    bodies = {"Pod": {"metadata": {"name": name}, "spec": spec}, "Secret": {"metadata": {"name": name}}}
    bound = None
    path = f"{NS}/default/{kind.lower()}s/{name}"
    if kind in bodies:
        made = stage.create(f"{NS}/default/{kind.lower()}s", bodies[kind])
        bound = {"apiVersion": "v1", "kind": kind, "name": name, "uid": made["metadata"]["uid"]}
    token, later = token_of(stage, name, bound), token_of(stage, name, bound)
    assert stage.whoami(token).code == 201
    assert stage.ask("DELETE", path, {"gracePeriodSeconds": 0}).code == 200
    refused(stage, later)
    if kind in bodies:  # made anew under the same name, it is another one
        stage.create(f"{NS}/default/{kind.lower()}s", bodies[kind])
        refused(stage, later)


def test_a_token_ends_with_its_node(stage: Stage, account: dict[str, Any]) -> None:
    node = stage.create("/api/v1/nodes", {"metadata": {"name": "n1"}})
    bound = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": node["metadata"]["uid"]}
    token = token_of(stage, "robot", bound)
    assert stage.ask("DELETE", "/api/v1/nodes/n1").code == 200
    refused(stage, token)
