"""The kubernetes service follows what the servers are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage

SERVICE = "/registry/services/specs/default/kubernetes"


async def service_port(storage: MemoryStorage, cert_dir: Path, port: int) -> int:
    """The port of the stored service once a server that is told `port` has started."""
    config = ApiServerConfig(
        bind_address="127.0.0.1", secure_port=0, cert_dir=cert_dir, kubernetes_service_port=port
    )
    server = ApiServer(config, storage)
    await server.start()
    try:
        async with asyncio.timeout(10):
            while True:
                stored, _ = await storage.get(SERVICE)
                found = codec.decode(stored.value)["spec"]["ports"][0]["port"] if stored else 0
                if found == port:
                    return int(found)
                await asyncio.sleep(0.01)
    finally:
        await server.stop()


def test_the_kubernetes_service_takes_the_port_of_the_last_start(tmp_path: Path) -> None:
    async def body() -> None:
        storage = MemoryStorage()
        assert await service_port(storage, tmp_path, 443) == 443
        assert await service_port(storage, tmp_path, 6443) == 6443

    asyncio.run(body())
