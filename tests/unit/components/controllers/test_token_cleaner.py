"""Bootstrap tokens go when their time has come, and others stay."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import timedelta

import pytest

from apiserver.api.meta import Object
from components.client.resources import SECRETS
from components.client.testing import FakeApi
from components.controllers.tokencleaner.plan import TYPE, seconds_left
from tests.support.virtual_time import run_virtual
from tests.unit.components.controllers.test_cluster_controllers import START, clock, manage


def token(name: str, expiration: str | None, kind: str = TYPE) -> Object:
    data = {} if expiration is None else {"expiration": b64encode(expiration.encode()).decode()}
    return {"metadata": {"name": name, "namespace": "kube-system"}, "type": kind, "data": data}


@pytest.mark.parametrize(
    ("secret", "left"),
    [
        (token("a", None), None),
        (token("a", "2026-01-01T00:01:00Z"), 60.0),
        (token("a", "2025-12-31T23:59:00Z"), -60.0),
        (token("a", "tomorrow"), 0.0),
        (token("a", "2025-12-31T23:59:00Z", "Opaque"), None),
    ],
)
def test_how_long_a_token_has_left(secret: Object, left: float | None) -> None:
    assert seconds_left(secret, START) == left


def test_tokens_are_deleted_in_time() -> None:
    async def main() -> None:
        api = FakeApi(clock)
        api.load(SECRETS, token("old", "2025-01-01T00:00:00Z"), token("later", "2026-01-01T00:10:00Z"))
        api.load(SECRETS, token("ever", None))
        task = asyncio.ensure_future(
            manage(api, timedelta(minutes=11).total_seconds(), "token-cleaner-controller")
        )
        await asyncio.sleep(60)
        assert [secret["metadata"]["name"] for secret in api.all(SECRETS)] == ["later", "ever"]
        await task
        assert [secret["metadata"]["name"] for secret in api.all(SECRETS)] == ["ever"]

    run_virtual(main())
