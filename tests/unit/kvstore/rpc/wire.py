"""An HTTP/2 client's side in memory: frames to a `Connection`, and what it answered, by stream."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from hpack import Decoder, Encoder

from kvstore.http2 import frames
from kvstore.http2.connection import Connection


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = self.reading_paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False


class Client:
    """`connection` is under test; `feed` gives it bytes and one turn of the event loop or more."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self.connection, self.transport = connection, Transport()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.got: list[tuple[int, int, int, bytes]] = []
        connection.connection_made(self.transport)

    async def feed(self, *parts: bytes) -> None:
        self.connection.data_received(b"".join(parts))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)
        data, at = bytes(self.transport.written), 0
        self.transport.written.clear()
        while at < len(data):
            size = int.from_bytes(data[at : at + 3], "big")
            kind, flags, stream = struct.unpack(">BBI", data[at + 3 : at + 9])
            self.got.append((kind, flags, stream, data[at + 9 : at + 9 + size]))
            at += 9 + size

    def headers(self, stream: int, path: str, *, end: bool = False, **more: str) -> bytes:
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            ("content-type", "application/grpc"),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        ]
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        return frames.frame(frames.HEADERS, flags, stream, self.encoder.encode(fields))

    def kinds(self, stream: int) -> list[int]:
        return [kind for kind, _, of, _ in self.got if of == stream]

    def messages(self, stream: int) -> list[bytes]:
        data = b"".join(p for kind, _, of, p in self.got if of == stream and kind == frames.DATA)
        found = []
        while data:
            size = int.from_bytes(data[1:5], "big")
            found.append(data[5 : 5 + size])
            data = data[5 + size :]
        return found

    def ended(self, stream: int) -> tuple[int, str] | None:
        """(grpc-status, grpc-message) if the call is over."""
        fields: dict[str, str] = {}
        over = False
        for kind, flags, of, payload in self.got:
            if of == stream and kind == frames.HEADERS:
                for name, value in self.decoder.decode(payload):
                    fields[str(name)] = str(value)
                over = over or bool(flags & frames.END_STREAM)
        return (int(fields["grpc-status"]), fields.get("grpc-message", "")) if over else None

    def gone_away(self) -> int | None:
        """The error of the last GOAWAY."""
        errors = [int.from_bytes(p[4:8], "big") for kind, _, _, p in self.got if kind == frames.GOAWAY]
        return errors[-1] if errors else None


def data(stream: int, payload: bytes, *, end: bool = False) -> bytes:
    """DATA frames of the default size."""
    parts = [payload[at : at + frames.MAX_FRAME] for at in range(0, len(payload), frames.MAX_FRAME)] or [b""]
    return b"".join(
        frames.frame(frames.DATA, frames.END_STREAM if end and at == len(parts) - 1 else 0, stream, part)
        for at, part in enumerate(parts)
    )
