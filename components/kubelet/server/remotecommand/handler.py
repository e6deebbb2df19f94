"""/exec, /attach and /run of the kubelet's server.

Checks everything that can be checked before the connection is upgraded (its errors are plain HTTP, as the
original's), then upgrades, starts the command and hands both to `session`. What fails after that is told in the
error channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.streaming import Taken
from components.kubelet.runtime.interface import (
    ContainerStatus,
    ExecTimeout,
    Runtime,
    RuntimeFault,
    Session,
    Streams,
)
from components.kubelet.server import upgrade
from components.kubelet.server.lookup import Lookup
from components.kubelet.server.remotecommand import options, session
from components.kubelet.server.remotecommand.spdy import SpdyChannels
from components.kubelet.server.remotecommand.websocket import WebSocketChannels

Starter = Callable[[Streams], Awaitable[Session]]
_RUN_SECONDS: Final = 240.0


class RemoteCommand:
    def __init__(self, lookup: Lookup, runtime: Runtime) -> None:
        self._lookup, self._runtime = lookup, runtime

    async def exec(self, request: web.Request) -> web.StreamResponse:
        streams, container = self._asked(request)
        command = request.query.getall("command", [])

        async def start(wanted: Streams) -> Session:
            return await self._runtime.exec(container.id, command, wanted)

        what = "error executing command in container: failed to exec in container"
        return await _serve(request, streams, start, options.exit_status, what)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        streams, container = self._asked(request)

        async def start(wanted: Streams) -> Session:
            return await self._runtime.attach(container.id, wanted)

        what = "error attaching to container"
        return await _serve(request, streams, start, lambda _code: options.success(), what)

    async def run(self, request: web.Request) -> web.Response:
        """POST /run: a command to its end, its output in one piece."""
        container = self._lookup.running(request)
        command = request.query.get("cmd", "").split(" ")
        try:
            result = await self._runtime.exec_sync(container.id, command, _RUN_SECONDS)
        except ExecTimeout as error:
            raise web.HTTPGatewayTimeout(text=f"{error}\n") from error
        except RuntimeFault as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from error
        if result.exit_code:
            text = f"command '{' '.join(command)}' exited with {result.exit_code}: "
            return web.Response(status=500, body=text.encode() + result.stdout + result.stderr)
        return web.Response(body=result.stdout + result.stderr)

    def _asked(self, request: web.Request) -> tuple[Streams, ContainerStatus]:
        try:
            streams = options.streams(request.query)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return streams, self._lookup.running(request)


async def _serve(
    request: web.Request,
    streams: Streams,
    start: Starter,
    status: Callable[[int], options.Status],
    what: str,
) -> web.StreamResponse:
    channels, response = await _upgraded(request, streams)
    try:
        await channels.open()
        try:
            started = await start(streams)
        except RuntimeFault as error:
            await channels.finish(options.failure(f"{what}: {error}"))
        else:
            await session.serve(channels, started, status)
    except ConnectionError:
        pass  # nobody is left to be told
    finally:
        await asyncio.shield(channels.close())
    return response()


async def _upgraded(
    request: web.Request, streams: Streams
) -> tuple[WebSocketChannels | SpdyChannels, Callable[[], web.StreamResponse]]:
    """The client's channels and what the handler returns when all is over."""
    if upgrade.wants_websocket(request):
        protocol = upgrade.agree_websocket(request, options.WEBSOCKET_PROTOCOLS)
        channels = WebSocketChannels(request, protocol, streams)
        return channels, lambda: channels.response
    protocol = upgrade.agree(request, options.SPDY_PROTOCOLS)
    link = await upgrade.to_spdy(request, protocol)
    return SpdyChannels(link, protocol, streams), Taken
