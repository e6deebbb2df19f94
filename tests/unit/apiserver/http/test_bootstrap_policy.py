"""The default policy at the start of a server: made, mended, and left alone where that was asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage

Object = dict[str, Any]
ROLE = "/registry/clusterroles/system:kube-scheduler"
PROTECTED = "/registry/clusterroles/system:node-proxier"
BINDING = "/registry/clusterrolebindings/system:discovery"
MINE: Object = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}


async def start_once(storage: MemoryStorage, folder: Path) -> None:
    """A server that has finished with the default policy, and stopped."""
    modes = ("Node", "RBAC")
    config = ApiServerConfig(
        bind_address="127.0.0.1", secure_port=0, cert_dir=folder, authorization_mode=modes
    )
    server = ApiServer(config, storage)
    done = asyncio.Event()
    told = server.services.authorizer.default_policy_is_stored

    async def tell() -> None:
        await told()
        done.set()

    server.services.authorizer.default_policy_is_stored = tell  # type: ignore[method-assign]
    await server.start()
    try:
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        await server.stop()


async def change(storage: MemoryStorage, key: str, **fields: Any) -> None:
    stored, _ = await storage.get(key)
    assert stored is not None
    await storage.update(key, codec.encode({**codec.decode(stored.value), **fields}), stored.revision)


async def stored(storage: MemoryStorage, key: str) -> Object:
    found, _ = await storage.get(key)
    assert found is not None
    obj: Object = codec.decode(found.value)
    return obj


def test_what_is_missing_is_added_at_every_start(tmp_path: Path) -> None:
    async def body() -> None:
        storage = MemoryStorage()
        await start_once(storage, tmp_path)
        expected = await stored(storage, ROLE)
        assert expected["rules"]
        await change(storage, ROLE, rules=[MINE])
        mark = {
            "name": "system:node-proxier",
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"},
        }
        await change(storage, PROTECTED, rules=[], metadata=mark)
        await change(storage, BINDING, roleRef={"apiGroup": "x", "kind": "ClusterRole", "name": "other"})
        gone, _ = await storage.get("/registry/clusterrolebindings/system:basic-user")
        assert gone is not None
        await storage.delete(gone.key, gone.revision)
        await start_once(storage, tmp_path)
        mended = await stored(storage, ROLE)
        assert mended["rules"][0] == MINE
        assert len(mended["rules"]) > len(expected["rules"])
        assert (await stored(storage, PROTECTED))["rules"] == []
        assert (await stored(storage, BINDING))["roleRef"]["name"] == "system:discovery"
        assert (await stored(storage, gone.key))["metadata"]["uid"]

    asyncio.run(body())
