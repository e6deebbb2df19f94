"""Servers that start at the same time, or that died in the middle of it, over one storage."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage

SERVICE = "/registry/services/specs/default/kubernetes"


async def run_servers(storage: MemoryStorage, cert_dir: Path, count: int) -> str:
    """The cluster IP of the kubernetes service once all servers have started."""
    servers = [
        ApiServer(
            ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=cert_dir / str(n)), storage
        )
        for n in range(count)
    ]
    await asyncio.gather(*(server.start() for server in servers))
    try:
        async with asyncio.timeout(15):
            while True:
                stored, _ = await storage.get(SERVICE)
                if stored is not None:
                    return str(codec.decode(stored.value)["spec"]["clusterIP"])
                await asyncio.sleep(0.01)
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


def test_servers_that_start_together_agree_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(run_servers(MemoryStorage(), tmp_path, 3))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and "bootstrap" in r.name]


def test_an_address_taken_by_a_server_that_died_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiserver.http.bootstrap._SERVICE_PAUSE", 0.01)

    async def body() -> None:
        address = await run_servers(MemoryStorage(), tmp_path, 1)
        storage = MemoryStorage()
        reserved = {
            "kind": "IPAddress",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": address},
            "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
        }
        await storage.create(f"/registry/ipaddresses/{address}", codec.encode(reserved))
        assert await run_servers(storage, tmp_path, 1) == address

    asyncio.run(body())
