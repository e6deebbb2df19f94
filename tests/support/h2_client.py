"""A client of HTTP/2 over TLS, made of the library h2, which knows nothing of our own framing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import defaultdict
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

_GOAWAY = 7


class Answer:
    """What has come on one stream so far. `ended`: all did; `reset`: the error it was broken off with."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))


class H2Client:
    """`read` is set to False to take nothing more off the streams, so that their windows close."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.answers: dict[int, Answer] = defaultdict(Answer)
        self.gone_away: int | None = None
        self.lost = False
        self.read = True
        self._rest = b""
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, port: int) -> H2Client:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        client = cls(reader, writer)
        client.h2.initiate_connection()
        await client.flush()
        return client

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()

    async def write(self, data: bytes) -> None:
        """Past the library."""
        self._writer.write(data)
        await self._writer.drain()

    async def send(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
        """A request; its stream. With a body of b"" more of it is to come."""
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "https"), (":authority", "x"), (":path", path)]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.h2.send_headers(stream, fields, end_stream=body is None)
        if body:
            await self.send_body(stream, body)
        await self.flush()
        return stream

    async def send_body(self, stream: int, body: bytes) -> None:
        """The rest of a request, as fast as the server takes it, and as long as it has not answered."""
        answer = self.answers[stream]
        while body:
            await self.until(lambda: answer.ended or self.h2.local_flow_control_window(stream) > 0)
            if answer.ended:
                return
            size = min(len(body), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream, body[:size], end_stream=size == len(body))
            body = body[size:]
            await self.flush()

    async def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        stream = await self.send(path, method, body, **headers)
        await self.until(lambda: self.answers[stream].ended or self.answers[stream].reset is not None)
        return self.answers[stream]

    async def until(self, reached: Any) -> None:
        while not reached():
            if self.lost:
                raise ConnectionResetError("the connection is lost")
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        self._task.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self._reader.read(65536):
                for event in self.h2.receive_data(self._without_goaway(data)):
                    self._note(event)
                await self.flush()
                self._news.set()
        self.lost = True
        self._news.set()

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames. The library would read nothing more after a GOAWAY, though open streams go on."""
        self._rest += data
        found = b""
        while len(self._rest) >= 9 and len(self._rest) >= (end := 9 + int.from_bytes(self._rest[:3], "big")):
            frame, self._rest = self._rest[:end], self._rest[end:]
            if frame[3] == _GOAWAY:
                self.gone_away = int.from_bytes(frame[13:17], "big")
            else:
                found += frame
        return found

    def _note(self, event: Any) -> None:
        if not hasattr(event, "stream_id") or not event.stream_id:
            return
        answer = self.answers[event.stream_id]
        if isinstance(event, ResponseReceived):
            answer.headers = dict(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, DataReceived):
            answer.body += event.data
            if self.read and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            answer.ended = True
        elif isinstance(event, StreamReset):
            answer.reset = int(event.error_code or 0)
