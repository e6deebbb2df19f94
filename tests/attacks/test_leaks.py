"""Secrets in requests that fail in every way they can; that none was logged is looked at in the end (`conftest`)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.attacks.stage import CANARY, NS, Stage

SECRETS = f"{NS}/default/secrets"
ENCODED = base64.b64encode(CANARY.encode()).decode()


@pytest.mark.parametrize(
    ("method", "path", "body", "media_type"),
    [
        ("POST", SECRETS, {"metadata": {"name": "A"}, "stringData": {"key": CANARY}}, "application/json"),
        ("POST", SECRETS, {"metadata": {"name": "x"}, "data": {"key": CANARY}}, "application/json"),
        ("POST", SECRETS, {"metadata": {"name": "x"}, "stringData": {"k/y": CANARY}}, "application/json"),
        ("POST", SECRETS, {"metadata": {"name": "x"}, "stringData": {"key": [CANARY]}}, "application/json"),
        ("POST", SECRETS, f'{{"metadata":{{"name":"x"}},"stringData":{{"key":"{CANARY}'.encode(), "application/json"),
        ("POST", SECRETS, f"stringData: {{key: {CANARY}".encode(), "application/yaml"),
        ("POST", SECRETS, f"stringData: {{key: {CANARY}}}".encode(), "application/unknown"),
        ("PUT", f"{SECRETS}/plain", {"metadata": {"name": "z"}, "stringData": {"key": CANARY}}, "application/json"),
        ("PATCH", f"{SECRETS}/plain", {"stringData": {"k/y": CANARY}}, "application/merge-patch+json"),
        ("PATCH", f"{SECRETS}/plain", [{"op": "test", "path": "/data/key", "value": CANARY}],
         "application/json-patch+json"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": CANARY}}, "application/json"),
        ("POST", f"{NS}/{CANARY[:6]}/secrets", {"metadata": {"name": "x"}, "stringData": {"key": CANARY}},
         "application/json"),
    ],
)  # fmt: skip
def test_requests_that_fail(stage: Stage, method: str, path: str, body: Any, media_type: str) -> None:
    answer = stage.ask(method, path, body, Content_Type=media_type)
    assert answer.code >= 400 or "tokenreviews" in path, answer


def test_the_canary_is_in_the_store(stage: Stage) -> None:
    """Else its absence in the logs would say nothing."""
    assert json.loads(stage.ask("GET", f"{SECRETS}/plain").text)["data"]["key"] == ENCODED


def test_credentials_in_headers(stage: Stage) -> None:
    for value in (f"Bearer {CANARY}", f"Basic {ENCODED}", CANARY):
        assert stage.ask("GET", SECRETS, token=None, Authorization=value, Cookie=CANARY).code in (401, 403)
