"""What aiohttp's responses write to: one answer on one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

if TYPE_CHECKING:
    from apiserver.http.http2.stream import Stream


class StreamWriter(AbstractStreamWriter):
    """A body has no framing of its own here: the stream's frames are enough. Raises ConnectionError when there is
    nobody to write to."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.length = None

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        self._stream.send_head(int(status_line.split(" ", 2)[1]), headers)

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.output_size += len(chunk)
        self._stream.write(chunk)
        await self._stream.drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.output_size += len(chunk)
        await self._stream.end(chunk)

    async def drain(self) -> None:
        await self._stream.drain()

    def enable_chunking(self) -> None:
        return None

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise NotImplementedError("answers are compressed before they are written")
