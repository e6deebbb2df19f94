"""Requests and answers over a Unix socket in the data directory: one JSON object a line.

Two servers speak it: the supervisor (for the command line) and each master (for the supervisor). A request is
`{"op": NAME, ...}`; an answer is `{"ok": ...}` or `{"error": text, "remedy": text}`. A handler may answer
with a stream: one `{"item": ...}` a line, then `{"ok": null}`. Only the owner of the directory can connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from components.cluster.errors import ClusterError

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], Awaitable[Any]]
LINE_LIMIT = 16 << 20


class NotRunning(ClusterError):
    """Nobody listens at the socket."""


class Server:
    """Serves `operations` at `path`; a handler that returns an async iterator answers with a stream."""

    def __init__(self, path: Path, operations: Mapping[str, Handler]) -> None:
        self._path = path
        self._operations = operations
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; a socket file left by a killed process is replaced."""
        self._path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        with _short(self._path) as address:
            sock.bind(address)
        os.chmod(self._path, 0o600)
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=LINE_LIMIT)

    async def stop(self) -> None:
        """Close the socket, end what is being answered, remove the file."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while line := await reader.readline():
                await self._answer(line, writer)
        except (ConnectionError, asyncio.CancelledError, ValueError):
            pass  # the client went away, or we stop, or the line is no request: the connection ends
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        request = json.loads(line)
        operation = self._operations.get(request.get("op"))
        if operation is None:
            await _send(
                writer, {"error": f"unknown request {request.get('op')!r}", "remedy": "use one version"}
            )
            return
        try:
            result = await operation(request)
            if isinstance(result, AsyncIterator):
                async for item in result:
                    await _send(writer, {"item": item})
                result = None
            await _send(writer, {"ok": result})
        except ClusterError as error:
            await _send(writer, {"error": error.message, "remedy": error.remedy})
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # the boundary: whatever went wrong is told to the one who asked
            logger.exception("request %s failed", request.get("op"))
            await _send(writer, {"error": f"{type(error).__name__}: {error}", "remedy": "see the log"})


class Connection:
    """A client's connection, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: Path) -> Connection:
        """Raises NotRunning when nobody listens at `path`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            with _short(path) as address:
                sock.connect(address)
            reader, writer = await asyncio.open_unix_connection(sock=sock, limit=LINE_LIMIT)
        except OSError as error:
            sock.close()
            raise NotRunning(
                f"no cluster is running in {path.parent.parent}", "start it: kuberaft up"
            ) from error
        return cls(reader, writer)

    async def call(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
        """One request, one answer. Raises ClusterError with the other side's words, TimeoutError."""
        async with asyncio.timeout(timeout):
            await _send(self._writer, {"op": op, **arguments})
            return _result(await self._reader.readline())

    async def stream(self, op: str, **arguments: Any) -> AsyncIterator[Any]:
        """One request, a stream of items; ends when the other side says so."""
        await _send(self._writer, {"op": op, **arguments})
        while True:
            line = await self._reader.readline()
            message = json.loads(line) if line else {}
            if "item" not in message:
                _result(line)
                return
            yield message["item"]

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def call(path: Path, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
    """Connect, ask once, close."""
    connection = await Connection.open(path)
    try:
        return await connection.call(op, timeout=timeout, **arguments)
    finally:
        await connection.close()


def _result(line: bytes) -> Any:
    if not line:
        raise NotRunning("the other side closed the connection", "see its log: kuberaft logs")
    message = json.loads(line)
    if "error" in message:
        raise ClusterError(message["error"], message["remedy"])
    return message["ok"]


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


@contextlib.contextmanager
def _short(path: Path) -> Any:
    """An address for `path` that fits the kernel's 108 bytes however deep the data directory lies."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
