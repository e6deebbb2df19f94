"""Servers that start at the same time, or that died in the middle of it, over one storage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.interface import ListResult, Stored
from apiserver.storage.memory import MemoryStorage

SERVICE = "/registry/services/specs/default/kubernetes"
ENDPOINTS = "/registry/services/endpoints/default/kubernetes"
LEASES = "/registry/masterleases/"


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


class Watched(MemoryStorage):
    """`between` runs once, when leases have been read and what they say is not written yet."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], Awaitable[None]] | None = None
        self.published: list[set[str]] = []
        self.looked_at: list[str] = []

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        stored, revision = await super().get(key, min_revision=min_revision, linearizable=linearizable)
        self.looked_at += [key] if stored is not None else []
        return stored, revision

    async def list(self, prefix: str, **options: Any) -> ListResult:
        found = await super().list(prefix, **options)
        between, self.between = (self.between, None) if prefix == LEASES else (None, self.between)
        if between is not None:
            await between()
        return found

    async def update(self, key: str, value: bytes, revision: int, **options: Any) -> int:
        written = await super().update(key, value, revision, **options)
        if key == ENDPOINTS:
            subsets = codec.decode(value).get("subsets") or []
            self.published.append({one["ip"] for subset in subsets for one in subset["addresses"]})
        return written


def test_a_server_that_begins_while_another_one_publishes_is_not_written_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiserver.http.bootstrap._RENEW_SECONDS", 0.02)

    async def body() -> None:
        storage = Watched()
        first, second = (
            ApiServer(
                ApiServerConfig(
                    bind_address="127.0.0.1",
                    advertise_address=f"10.0.0.{number}",
                    secure_port=0,
                    cert_dir=tmp_path / str(number),
                ),
                storage,
            )
            for number in (1, 2)
        )

        async def until(done: Callable[[], bool]) -> None:
            async with asyncio.timeout(10):
                while not done():  # noqa: ASYNC110  # the storage tells nobody
                    await asyncio.sleep(0.01)

        async def begin_second() -> None:
            await second.start()
            await until(lambda: bool(storage.published))

        await first.start()
        await until(lambda: ENDPOINTS in storage.looked_at)
        storage.between = begin_second
        await until(lambda: bool(storage.published))
        seen = len(storage.looked_at)
        await until(lambda: storage.looked_at[seen:].count(ENDPOINTS) > 4)  # each has been there again
        assert storage.published == [{"10.0.0.1", "10.0.0.2"}]
        await asyncio.gather(first.stop(), second.stop())

    asyncio.run(body())
