"""The kubelet's end of a command with live streams, and of an attached client: `runtime.interface.Session`.

Opens a connection to the shim for each session and sends the program's ends of the pipes (or of a terminal) over
it; what is read and written here are the other ends. The connection is the session's lease: when it is closed,
or the kubelet dies, the shim kills the command. See `shim.sessions` for the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import struct
import termios
from pathlib import Path
from typing import Any

from components.kubelet.runtime.interface import RuntimeFault, StartFault, Streams
from components.kubelet.runtime.process.descriptors import Descriptor
from components.kubelet.runtime.process.shims import ShimGone, open_socket

_ANSWER_SECONDS = 30.0
_LINE = 64 * 1024
_LOST = 128 + 9  # the shim is gone, and the kernel has killed what ran under it


class ProcessSession:
    """`stdin`, `stdout`, `stderr`: our ends, None where the client wanted none. With a terminal input and
    output are one descriptor."""

    def __init__(self) -> None:
        self._stdin: Descriptor | None = None
        self._stdout: Descriptor | None = None
        self._stderr: Descriptor | None = None
        self._terminal: Descriptor | None = None
        self._connection: socket.socket | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._attached = False  # to a container, whose input others may hold open

    async def read_stdout(self) -> bytes:
        return await self._stdout.read() if self._stdout is not None else b""

    async def read_stderr(self) -> bytes:
        return await self._stderr.read() if self._stderr is not None else b""

    async def write_stdin(self, data: bytes) -> None:
        """Raises BrokenPipeError when the program does not read its input any more."""
        if self._stdin is not None:
            try:
                await self._stdin.write(data)
            except OSError as error:
                raise BrokenPipeError(str(error)) from error

    def close_stdin(self) -> None:
        """The end of input. A terminal has none: what means the end there is typed."""
        if self._stdin is None or self._stdin is self._terminal or self._stdin.closed:
            return
        self._stdin.close()
        if self._attached and self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send(json.dumps({"id": 2, "op": "end_input"}).encode() + b"\n")

    def resize(self, width: int, height: int) -> None:
        if self._terminal is not None and not self._terminal.closed:
            size = struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._terminal.fileno(), termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """The exit code, once the program has ended."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Kills the command if it still runs; only detaches from a container."""
        for end in (self._stdin, self._stdout, self._stderr, self._terminal):
            if end is not None:
                end.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
        self._ended.cancel()

    async def _ask(
        self, directory: Path, request: dict[str, object], fds: list[int]
    ) -> tuple[Any, list[int]]:
        """The shim's answer and the descriptors that came with it. Raises StartFault with its words."""
        try:
            self._connection = open_socket(directory)
        except OSError as error:
            raise ShimGone("the sandbox process is gone") from error
        answer, received, rest = await asyncio.to_thread(_exchange, self._connection, request, fds)
        if "error" in answer:
            raise StartFault(answer["error"])
        self._task = asyncio.create_task(self._follow(rest), name="shim-session")
        return answer["ok"], received

    async def _follow(self, rest: bytes) -> None:
        """Until the shim tells the end, or is gone."""
        assert self._connection is not None
        self._connection.setblocking(False)
        loop = asyncio.get_running_loop()
        data = rest
        while b"\n" not in data:
            try:
                more = await loop.sock_recv(self._connection, _LINE)
            except OSError:
                more = b""
            if not more:
                self._tell(_LOST)
                return
            data += more
        self._tell(int(json.loads(data.partition(b"\n")[0])["code"]))

    def _tell(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    @classmethod
    async def execute(
        cls, directory: Path, container_id: str, argv: list[str], streams: Streams, owner: int | None
    ) -> ProcessSession:
        """`owner`: the user whose terminal it shall be, where the kubelet may give it away."""
        session = cls()
        theirs = session._open_terminal(owner) if streams.tty else session._open_pipes(streams)
        request = {"id": 1, "op": "open", "container": container_id, "argv": argv, "tty": streams.tty}
        try:
            await session._ask(directory, {**request, "streams": list(theirs)}, list(theirs.values()))
        except BaseException:
            await session.close()
            raise
        finally:
            for fd in theirs.values():
                os.close(fd)
        return session

    def _open_terminal(self, owner: int | None) -> dict[str, int]:
        ours, theirs = os.openpty()
        if owner is not None:
            os.fchown(theirs, owner, -1)
        self._terminal = self._stdin = self._stdout = Descriptor(ours)
        return {"terminal": theirs}

    def _open_pipes(self, streams: Streams) -> dict[str, int]:
        theirs: dict[str, int] = {}
        if streams.stdin:
            theirs["stdin"], ours = os.pipe()
            self._stdin = Descriptor(ours)
        if streams.stdout:
            self._stdout, theirs["stdout"] = _output()
        if streams.stderr:
            self._stderr, theirs["stderr"] = _output()
        return theirs

    @classmethod
    async def attach(cls, directory: Path, container_id: str, streams: Streams) -> ProcessSession:
        session = cls()
        session._attached = True
        theirs = session._open_pipes(Streams(stdout=streams.stdout, stderr=streams.stderr))
        request = {"id": 1, "op": "attach", "container": container_id, "stdin": streams.stdin}
        try:
            fds = list(theirs.values())
            found, received = await session._ask(directory, {**request, "streams": list(theirs)}, fds)
        except BaseException:
            await session.close()
            raise
        finally:
            for fd in theirs.values():
                os.close(fd)
        for fd in received:
            session._take_input(Descriptor(fd), tty=found["tty"], wanted=streams.stdin)
        return session

    def _take_input(self, given: Descriptor, *, tty: bool, wanted: bool) -> None:
        if tty:
            self._terminal = given
        if wanted:
            self._stdin = given


def _output() -> tuple[Descriptor, int]:
    ours, theirs = os.pipe()
    return Descriptor(ours), theirs


def _exchange(
    connection: socket.socket, request: dict[str, object], fds: list[int]
) -> tuple[dict[str, Any], list[int], bytes]:
    """Send with descriptors, then read one line: the answer, its descriptors and what came behind it."""
    connection.settimeout(_ANSWER_SECONDS)
    try:
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], fds)
        data, received = b"", list[int]()
        while b"\n" not in data:
            more, some, _, _ = socket.recv_fds(connection, _LINE, 1, socket.MSG_CMSG_CLOEXEC)
            if not more:
                raise ShimGone("the sandbox process is gone")
            data, received = data + more, received + some
    except TimeoutError:
        raise RuntimeFault(f"the sandbox process did not answer within {_ANSWER_SECONDS:g}s") from None
    except OSError as error:
        raise ShimGone("the sandbox process is gone") from error
    line, _, rest = data.partition(b"\n")
    return json.loads(line), received, rest
