"""Exec and attach over SPDY: the client opens a stream for each of error, stdin, stdout, stderr and resize.

The handler waits until all that the request promised are there. The program starts then, not before, so that no
output is without a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from apiserver.streaming import ByteStream
from components.kubelet.runtime.interface import Streams
from components.kubelet.server.remotecommand import options
from components.kubelet.server.spdy.connection import Refused, SpdyConnection, SpdyStream

_CREATION_SECONDS: Final = 30.0
_FAREWELL_SECONDS: Final = 5.0
_TYPES: Final = frozenset({"error", "stdin", "stdout", "stderr", "resize"})


def expected(streams: Streams, protocol: str) -> set[str]:
    """The stream types that a client of this protocol opens."""
    wanted = {"error": True, "stdin": streams.stdin, "stdout": streams.stdout, "stderr": streams.stderr}
    wanted["resize"] = streams.tty and protocol not in (options.V1, options.V2)
    return {name for name, on in wanted.items() if on}


class SpdyChannels:
    def __init__(self, link: ByteStream, protocol: str, streams: Streams) -> None:
        self._protocol, self._link = protocol, link
        self._missing = expected(streams, protocol)
        self._streams: dict[str, SpdyStream] = {}
        self._complete = asyncio.Event()
        self._parser = options.Sizes()
        self._sizes: list[tuple[int, int]] = []
        self._running = asyncio.ensure_future(SpdyConnection(link, self._offered).run())

    def _offered(self, stream: SpdyStream) -> None:
        kind = stream.header("streamtype")
        if kind not in _TYPES or kind in self._streams:
            raise Refused(f"unexpected stream type: {kind!r}")
        self._streams[kind] = stream
        if self._missing <= self._streams.keys():
            self._complete.set()

    async def open(self) -> None:
        """Until all streams are there. Raises ConnectionError when they do not come."""
        waiting = asyncio.ensure_future(self._complete.wait())
        try:
            await asyncio.wait(
                [waiting, self._running],
                timeout=_CREATION_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
        if not self._complete.is_set():
            raise ConnectionError("timed out waiting for client to create streams")

    async def read_stdin(self) -> bytes:
        return await self._read("stdin")

    async def read_size(self) -> tuple[int, int] | None:
        while not self._sizes:
            data = await self._read("resize")
            if not data:
                return None
            self._sizes = self._parser.feed(data)
        return self._sizes.pop(0)

    async def _read(self, kind: str) -> bytes:
        stream = self._streams.get(kind)
        return await stream.read() if stream is not None else b""

    async def write_stdout(self, data: bytes) -> None:
        await self._write("stdout", data)

    async def write_stderr(self, data: bytes) -> None:
        await self._write("stderr", data)

    async def _write(self, kind: str, data: bytes) -> None:
        stream = self._streams.get(kind)
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: options.Status) -> None:
        """All streams end properly; the client closes the connection when it has read them."""
        text = options.written(status, self._protocol)
        if text:
            await self._write("error", text)
        for stream in self._streams.values():
            await stream.close()
        await asyncio.wait([self._running], timeout=_FAREWELL_SECONDS)

    async def gone(self) -> None:
        await asyncio.shield(self._running)

    async def close(self) -> None:
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._running
        await self._link.close()
