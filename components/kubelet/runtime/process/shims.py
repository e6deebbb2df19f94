"""The kubelet's end of a shim: start one, find one again, talk to it.

A shim is known by pid *and* start time (from /proc), so a recycled pid is never taken for it and no
process that was not started here is ever signalled. Used by `runtime.process.runtime`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.kubelet.runtime.interface import ExecTimeout, RuntimeFault, SandboxFault, StartFault
from components.kubelet.runtime.process.shim import proctree

_MAIN = Path(__file__).parent / "shim" / "__main__.py"
_COMMAND = (sys.executable, "-I", "-S", str(_MAIN))
_REQUEST_TIMEOUT = 30.0
_END_TIMEOUT = 5.0
_LINE_LIMIT = 8 << 20


class ShimGone(RuntimeFault):
    """The shim ended while it was asked; its containers have ended with it."""


async def start_shim(directory: Path) -> tuple[int, int]:
    """Start the shim of the sandbox in `directory`: its pid and start time."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        str(directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError:
        _kill(process)
        raise SandboxFault("the sandbox process did not start in time") from None
    except asyncio.CancelledError:
        _kill(process)
        await process.wait()
        raise
    if process.returncode != 0:
        raise SandboxFault(f"the sandbox process failed: {err.decode(errors='replace').strip()[-400:]}")
    pid = int(out)
    ticks = proctree.start_time(pid)
    if ticks is None:
        raise SandboxFault("the sandbox process ended at once")
    return pid, ticks


async def end_shim(directory: Path) -> None:
    """End the shim that listens in the directory, if one does, and whatever it runs."""
    client = ShimClient(directory, lambda _: None, lambda: None)
    try:
        await client.connect()
    except OSError:
        return
    with contextlib.suppress(ShimGone, ExecTimeout):
        await client.request("shutdown", _END_TIMEOUT)
    await client.close()


def is_alive(pid: int, start_ticks: int) -> bool:
    return pid > 0 and proctree.start_time(pid) == start_ticks


async def probe(root: Path, namespaces: tuple[str, ...]) -> str | None:
    """Try a container with these namespaces: None if it works, else what went wrong."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        "--probe",
        str(root),
        ",".join(namespaces),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            out, _ = await process.communicate()
    except TimeoutError:
        _kill(process)
        return "no answer in time"
    return None if process.returncode == 0 else out.decode(errors="replace").strip()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def open_socket(directory: Path) -> socket.socket:
    """Connected to the shim; through /proc/self/fd, because a socket's path may not be longer than 107 bytes."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"/proc/self/fd/{handle}/shim.sock")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(handle)
    return connection


class ShimClient:
    """One connection to one shim. `on_exit(status)`: a container ended; `on_gone()`: the shim ended."""

    def __init__(
        self, directory: Path, on_exit: Callable[[dict[str, Any]], None], on_gone: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._on_exit = on_exit
        self._on_gone = on_gone
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._reader_task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        connection = open_socket(self._directory)
        connection.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=connection, limit=_LINE_LIMIT)
        self._reader_task = asyncio.create_task(self._read(reader), name="shim-reader")

    async def request(self, op: str, timeout: float = _REQUEST_TIMEOUT, **fields: object) -> Any:
        if self._reader_task is None or self._reader_task.done():
            raise ShimGone("the sandbox process is gone")
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(json.dumps({"id": number, "op": op, **fields}).encode() + b"\n")
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise ExecTimeout(f"the sandbox process did not answer {op} within {timeout:g}s") from None
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """The connection is closed even if this is cancelled while it waits."""
        if self._reader_task is not None:
            self._reader_task.cancel()
            self._writer.close()
            await asyncio.gather(self._reader_task, return_exceptions=True)
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._dispatch(json.loads(line))
        except (OSError, ValueError):
            pass  # an answer that cannot be read is the end of the connection
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ShimGone("the sandbox process is gone"))
        self._writer.close()
        self._on_gone()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message.get("event") == "exit":
            self._on_exit(message["status"])
            return
        waiting = self._waiting.get(message["id"])
        if waiting is None or waiting.done():
            return
        if "error" in message:
            waiting.set_exception(StartFault(message["error"]))
        else:
            waiting.set_result(message["ok"])
