"""One forwarded connection: bytes between a client's stream and a port of the pod, until the pod's side ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from components.kubelet.runtime.interface import RuntimeFault

_CHUNK: Final = 32 * 1024
Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect: TypeAlias = Callable[[int], Awaitable[Connection]]  # to a port of the pod; raises RuntimeFault


class Duplex(Protocol):
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


class Forwarder:
    """Towards one pod; `sandbox` and `uid` are for the texts."""

    def __init__(self, connect: Connect, sandbox: str) -> None:
        self._connect, self._sandbox = connect, sandbox

    async def run(self, port: int, stream: Duplex) -> str:
        """What went wrong, in the original's words; "" if nothing did."""
        try:
            reader, writer = await self._connect(port)
        except RuntimeFault as error:
            where = f'failed to connect to localhost:{port} inside namespace "{self._sandbox}", IPv4: {error}'
            return self._problem(port, where)
        sending = asyncio.ensure_future(_send(stream, writer))
        try:
            await _receive(reader, stream)
        except ConnectionResetError:
            return self._problem(port, "read: connection reset by peer")
        except ConnectionError:
            return ""  # the client has closed its stream
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
            writer.transport.abort()
        return ""

    def _problem(self, port: int, why: str) -> str:
        return f"error forwarding port {port} to pod {self._sandbox}, uid : {why}"


async def _send(stream: Duplex, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _receive(reader: asyncio.StreamReader, stream: Duplex) -> None:
    while data := await reader.read(_CHUNK):
        await stream.write(data)
