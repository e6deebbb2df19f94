"""Requests over a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from components.cluster import ipc
from components.cluster.errors import ClusterError


async def double(request: dict[str, Any]) -> Any:
    return 2 * request["n"]


async def refuse(request: dict[str, Any]) -> Any:
    raise ClusterError("it is broken", "mend it")


async def count(request: dict[str, Any]) -> AsyncIterator[int]:
    async def numbers() -> AsyncIterator[int]:
        for n in range(3):
            yield n

    return numbers()


async def hang(request: dict[str, Any]) -> Any:
    await asyncio.Event().wait()


OPERATIONS = {"double": double, "refuse": refuse, "count": count, "hang": hang}


def test_calls_errors_and_streams(tmp_path: Path) -> None:
    async def main() -> None:
        server = ipc.Server(tmp_path / "s", OPERATIONS)
        await server.start()
        connection = await ipc.Connection.open(tmp_path / "s")
        assert await connection.call("double", n=4) == 8
        with pytest.raises(ClusterError, match="it is broken") as raised:
            await connection.call("refuse")
        assert raised.value.remedy == "mend it"
        assert [item async for item in connection.stream("count")] == [0, 1, 2]
        with pytest.raises(ClusterError, match="unknown request 'fly'"):
            await connection.call("fly")
        with pytest.raises(ClusterError, match="KeyError"):
            await connection.call("double")
        with pytest.raises(TimeoutError):
            await connection.call("hang", timeout=0.01)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
        await connection.close()
        await server.stop()
        assert not (tmp_path / "s").exists()

    asyncio.run(main())


def test_a_deep_directory_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100)
    path.mkdir(parents=True)

    async def main() -> None:
        server = ipc.Server(path / "s.sock", OPERATIONS)
        await server.start()
        assert await ipc.call(path / "s.sock", "double", n=1) == 2
        await server.stop()

    asyncio.run(main())


def test_a_stale_socket_file_is_nobody_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def main() -> None:
        with pytest.raises(ipc.NotRunning):
            await ipc.call(path, "double", n=1)
        path.touch()
        with pytest.raises(ipc.NotRunning, match="no cluster is running"):
            await ipc.call(path, "double", n=1)
        server = ipc.Server(path, OPERATIONS)
        await server.start()
        assert await ipc.call(path, "double", n=1) == 2
        await server.stop()

    asyncio.run(main())
