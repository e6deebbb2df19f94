"""Stored configurations, compiled: once for each change, and none is passed over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiserver.admission.configured import Configured
from apiserver.admission.webhooks.hooks import hooks_of
from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.storage.cacher import ResourceCache
from apiserver.storage.memory import MemoryStorage

PREFIX = "/registry/validatingwebhookconfigurations/"


def configuration(name: str, **hook: Any) -> bytes:
    webhooks = [{"name": "a.example.com", **hook}, {"name": "b.example.com"}]
    kind = {"kind": "ValidatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
    return codec.encode({**kind, "metadata": {"name": name}, "webhooks": webhooks})


async def _scenario() -> None:
    storage, compiled = MemoryStorage(), list[str]()

    def compile_(obj: dict[str, Any]) -> list[str]:
        compiled.append(obj["metadata"]["name"])
        return [hook.identity for hook in hooks_of(obj)]

    for name in ("b", "a"):
        await storage.create(PREFIX + name, configuration(name))
    cache = ResourceCache(storage, PREFIX)
    known = Configured(cache, compile_)
    assert [hooks[0] for hooks in await known.all()] == ["a/a.example.com/0", "b/a.example.com/0"]
    await known.all()
    assert sorted(compiled) == ["a", "b"]

    broken = {"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}
    revision = await storage.create(PREFIX + "c", configuration("c", **broken))
    await cache.wait_until(revision)
    with pytest.raises(StatusError, match="admission configuration c cannot be used"):
        await known.all()
    revision = await storage.delete(PREFIX + "c", revision)
    await cache.wait_until(revision)
    assert len(await known.all()) == 2
    await cache.close()


def test_configurations_follow_the_cache() -> None:
    asyncio.run(_scenario())
