"""Port-forward over a WebSocket: a tunnel for SPDY, as kubectl uses it, or the older numbered channels.

Channels: port i of the request has 2i for its data and 2i+1 for its error; the first message on each is the
port number, little-endian. There is one connection for each port, made at once.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import struct
from typing import Final

from aiohttp import WSMsgType, web

from components.kubelet.server.portforward.forward import Forwarder
from components.kubelet.server.remotecommand.websocket import check_client, client_left

_LOOK_SECONDS: Final = 1.0


class Tunnel:
    """The bytes of a SPDY connection in binary messages: a `ByteStream`."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self._request, self._ws = request, ws

    async def read(self) -> bytes:
        while True:
            message = await self._ws.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                data: bytes = message.data
                return data

    async def write(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    def hung_up(self) -> bool:
        return client_left(self._request)

    async def close(self) -> None:
        await self._ws.close()


class _Channel:
    """One port's data channel. What arrives is kept in one place only: the reader of the socket waits for it."""

    def __init__(self, ports: WebSocketPorts, number: int) -> None:
        self._ports, self._number = ports, number
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue(1)

    async def read(self) -> bytes:
        return await self.arrived.get()

    async def write(self, data: bytes) -> None:
        await self._ports.send(self._number, data)


class WebSocketPorts:
    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        protocol: str,
        ports: list[int],
        forwarder: Forwarder,
    ) -> None:
        self._request, self._ws, self._ports, self._forwarder = request, ws, ports, forwarder
        self._base64 = "base64" in protocol
        self._channels = [_Channel(self, 2 * index) for index in range(len(ports))]

    async def run(self) -> None:
        """Until every port's connection has ended, or the client goes."""
        for number in range(2 * len(self._ports)):
            await self.send(number, struct.pack("<H", self._ports[number // 2]))
        reading = asyncio.ensure_future(self._read())
        forwarding = asyncio.ensure_future(self._forward_all())
        try:
            await asyncio.wait([reading, forwarding], return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            forwarding.cancel()
            await asyncio.gather(reading, forwarding, return_exceptions=True)

    async def _forward_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for index in range(len(self._ports)):
                group.create_task(self._forward(index))

    async def _forward(self, index: int) -> None:
        with contextlib.suppress(ConnectionError):
            problem = await self._forwarder.run(self._ports[index], self._channels[index])
            if problem:
                await self.send(2 * index + 1, problem.encode())

    async def send(self, number: int, data: bytes) -> None:
        if self._base64:
            await self._ws.send_str(chr(ord("0") + number) + base64.b64encode(data).decode())
        else:
            await self._ws.send_bytes(bytes((number,)) + data)

    async def _read(self) -> None:
        while (message := await self._ws.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            number, body = self._decode(data)
            if body and number % 2 == 0 and number < 2 * len(self._channels):
                await self._deliver(self._channels[number // 2], body)

    def _decode(self, data: bytes) -> tuple[int, bytes]:
        if not data or not self._base64:
            return (data[0] if data else 0), data[1:]
        try:
            return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
        except binascii.Error:
            return 0, b""

    async def _deliver(self, channel: _Channel, body: bytes) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await channel.arrived.put(body)
                    return
            except TimeoutError:
                await check_client(self._request, self._ws)
