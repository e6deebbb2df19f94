"""Exec and attach over a WebSocket: each message carries the number of its channel in front.

Versions 4 and 5 and the older ones, binary or base64. 0 stdin, 1 stdout, 2 stderr, 3 the final status, 4 window
sizes; in version 5 the message 255, n closes channel n. One task reads the socket; it stops while the program does
not take its input, and then finds out otherwise whether the client is still there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Final

from aiohttp import WSMsgType, web

from apiserver.streaming import peer_closed
from components.kubelet.runtime.interface import Streams
from components.kubelet.server.remotecommand import options

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_CLOSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0
_MESSAGE_LIMIT: Final = 8 << 20


class WebSocketChannels:
    def __init__(self, request: web.Request, protocol: str, streams: Streams) -> None:
        self._request, self._protocol, self._streams = request, protocol, streams
        self._base64 = "base64" in protocol
        self.response = socket_for(request, protocol)
        self._stdin: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue(16)
        self._parser = options.Sizes()
        self._stdin_ended = not streams.stdin

    async def open(self) -> None:
        """Answers 101 and says at once, by an empty message, that the connection stands."""
        await self.response.prepare(self._request)
        first = STDOUT if self._streams.stdout else STDERR if self._streams.stderr else ERROR
        await self._send(first, b"")

    async def read_stdin(self) -> bytes:
        return await self._stdin.get() if self._streams.stdin else b""

    async def read_size(self) -> tuple[int, int] | None:
        return await self._sizes.get()

    async def write_stdout(self, data: bytes) -> None:
        if self._streams.stdout:
            await self._send(STDOUT, data)

    async def write_stderr(self, data: bytes) -> None:
        if self._streams.stderr:
            await self._send(STDERR, data)

    async def finish(self, status: options.Status) -> None:
        text = options.written(status, self._protocol)
        if text:
            await self._send(ERROR, text)
        await self.close()

    async def close(self) -> None:
        await self.response.close()

    async def gone(self) -> None:
        """Reads what the client sends until it goes."""
        try:
            while (message := await self.response.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
                data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
                await self._received(data)
        except ConnectionError:
            return

    async def _send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self.response.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
        else:
            await self.response.send_bytes(bytes((channel,)) + data)

    async def _received(self, data: bytes) -> None:
        if not data:
            return
        channel, body = data[0], data[1:]
        if self._protocol == options.V5 and channel == CLOSE:
            if body == bytes((STDIN,)):
                await self._input(b"")
            return
        if self._base64:
            channel -= ord("0")
            try:
                body = base64.b64decode(body, validate=True)
            except binascii.Error:
                return
        if channel == STDIN and body:
            await self._input(body)
        elif channel == RESIZE:
            for size in self._parser.feed(body):
                if not self._sizes.full():
                    self._sizes.put_nowait(size)

    async def _input(self, data: bytes) -> None:
        if self._stdin_ended:
            return
        self._stdin_ended = not data
        putting = asyncio.ensure_future(self._stdin.put(data))
        try:
            while not (await asyncio.wait([putting], timeout=_LOOK_SECONDS))[0]:
                await check_client(self._request, self.response)
        finally:
            putting.cancel()


def socket_for(request: web.Request, protocol: str) -> web.WebSocketResponse:
    protocols = (protocol,) if protocol else ()
    return web.WebSocketResponse(
        protocols=protocols, timeout=_CLOSE_SECONDS, max_msg_size=_MESSAGE_LIMIT, compress=False
    )


async def check_client(request: web.Request, ws: web.WebSocketResponse) -> None:
    """While nothing is read from a client only its own system can tell that it is gone: it refuses what it is sent.

    A pong nobody asked for is such a thing; RFC 6455 allows it, and no client answers it.
    """
    if client_left(request):
        raise ConnectionResetError("the client is gone")
    await ws.pong()


def client_left(request: web.Request) -> bool:
    transport = request.transport
    if transport is None:
        return True
    sock = transport.get_extra_info("socket")
    return sock is not None and peer_closed(sock.fileno())
