"""The supervisor's end of the process starter (`zygote`): starts processes, hears when they end.

`Launcher.open()` may be called before the event loop runs, so that the starter imports while the
supervisor prepares certificates and files.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from components.cluster import titles, zygote
from components.cluster.errors import ClusterError

SPAWN_TIMEOUT = 30.0


class Launcher:
    """One process starter. `on_exit(pid, status)` is called from the event loop."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, output: int) -> None:
        self._process = process
        self._output = output
        self._channel = channel
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._on_exit: Callable[[int, int], None] = lambda pid, status: None
        self._on_death: Callable[[ClusterError], None] = lambda error: None

    @classmethod
    def open(cls, preload: Sequence[str] = ()) -> Launcher:
        """Start the starter; it imports `preload` at once. Its own complaints are kept in memory."""
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        output = os.memfd_create("kuberaft-starter", os.MFD_CLOEXEC)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", zygote.__name__, " " * zygote.TITLE_ROOM],
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: titles.die_with_parent(parent),
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        launcher = cls(process, ours, output)
        ours.sendall(json.dumps({"preload": list(preload)}).encode() + b"\n")
        return launcher

    async def start(
        self, on_exit: Callable[[int, int], None], on_death: Callable[[ClusterError], None]
    ) -> None:
        """Listen to the starter. `on_death` hears when the starter ends, and with it all it started."""
        self._on_exit, self._on_death = on_exit, on_death
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        self._reader = asyncio.create_task(self._read(reader))

    async def spawn(self, name: str, module: str, args: Sequence[str], log: Path, program: str = "") -> int:
        """Start `python -m module args`, named `name`, writing to `log`; its pid. `program`: another python's path."""
        if self._writer is None or self._reader is None or self._reader.done():
            raise ClusterError(
                "the process starter has ended", f"see {log.parent}/supervisor.log, then start again"
            )
        future = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        request = {"spawn": name, "module": module, "args": list(args), "log": str(log)}
        request |= {"program": program} if program else {}
        self._writer.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(SPAWN_TIMEOUT):
                pid: int = await future
        except TimeoutError:
            raise ClusterError(
                f"{name} did not start within {SPAWN_TIMEOUT:.0f} s", "the machine is overloaded"
            ) from None
        finally:
            self._waiting.pop(name, None)
        return pid

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._handle(json.loads(line))
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._starter_ended())
        self._on_death(self._starter_ended())

    def _handle(self, message: dict[str, Any]) -> None:
        if "exited" in message:
            self._on_exit(message["exited"], message["status"])
            return
        future = self._waiting.get(message.get("spawned") or message["failed"])
        if future is None or future.done():
            return
        if "spawned" in message:
            future.set_result(message["pid"])
        else:
            error = f"{message['failed']} cannot be started: {message['error']}"
            future.set_exception(ClusterError(error, "reinstall kuberaft: pip install -e ."))

    def _starter_ended(self) -> ClusterError:
        said = os.pread(self._output, 4000, max(0, os.fstat(self._output).st_size - 4000)).decode(
            errors="replace"
        )
        return ClusterError(
            f"the process starter has ended\n{said}".rstrip(), "start the cluster again: kuberaft up"
        )

    async def close(self) -> None:
        """End the starter, and with it whatever it started that still runs."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._writer is not None:
            self._writer.transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket in the next round of the loop
        self.kill()

    def kill(self) -> None:
        """As `close`, without an event loop; does nothing the second time."""
        if self._output < 0:
            return
        self._channel.close()
        self._process.kill()
        self._process.wait(timeout=10)
        os.close(self._output)
        self._output = -1
