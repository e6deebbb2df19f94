"""Port-forward over SPDY: the client opens a pair of streams, error and data, for each connection it wants.

Many pairs live on one connection at a time, joined by their request id. Used for the plain upgrade and inside the
WebSocket tunnel alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from apiserver.streaming import ByteStream
from components.kubelet.server.portforward import ports
from components.kubelet.server.portforward.forward import Forwarder
from components.kubelet.server.spdy.connection import Refused, SpdyConnection, SpdyStream

_CREATION_SECONDS: Final = 30.0


class SpdyPorts:
    def __init__(self, link: ByteStream, forwarder: Forwarder) -> None:
        self._connection = SpdyConnection(link, self._offered)
        self._forwarder = forwarder
        self._waiting: dict[str, dict[str, SpdyStream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client goes; what it had open is closed then."""
        try:
            await self._connection.run()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _offered(self, stream: SpdyStream) -> None:
        kind = stream.header("streamtype")
        try:
            port = ports.of_stream(stream.header("port"), kind)
        except ValueError as error:
            raise Refused(str(error)) from error
        request = ports.request_id(stream.header("requestid"), kind, stream.number)
        pair = self._waiting.setdefault(request, {})
        if kind in pair:
            raise Refused(f"{kind} stream already assigned")
        pair[kind] = stream
        if len(pair) == 1:
            self._start(self._expire(request, pair))
        else:
            del self._waiting[request]
            self._start(self._forward(port, pair["data"], pair["error"]))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, request: str, pair: dict[str, SpdyStream]) -> None:
        """Half a pair is not kept for ever."""
        await asyncio.sleep(_CREATION_SECONDS)
        if self._waiting.get(request) is not pair:
            return
        del self._waiting[request]
        with contextlib.suppress(ConnectionError):
            for stream in pair.values():
                await stream.reset()

    async def _forward(self, port: int, data: SpdyStream, error: SpdyStream) -> None:
        with contextlib.suppress(ConnectionError):
            problem = await self._forwarder.run(port, data)
            if problem:
                await error.write(problem.encode())
                await data.reset()
            else:
                await data.close()
            await error.close()
