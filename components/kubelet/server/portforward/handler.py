"""/portForward of the kubelet's server: agrees on a protocol, upgrades, and serves ports until the client goes."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from apiserver.streaming import Taken
from components.kubelet.runtime.interface import Runtime
from components.kubelet.server import upgrade
from components.kubelet.server.lookup import Lookup
from components.kubelet.server.portforward import ports
from components.kubelet.server.portforward.forward import Forwarder
from components.kubelet.server.portforward.spdy import SpdyPorts
from components.kubelet.server.portforward.websocket import Tunnel, WebSocketPorts
from components.kubelet.server.remotecommand.websocket import socket_for


class PortForward:
    def __init__(self, lookup: Lookup, runtime: Runtime) -> None:
        self._lookup, self._runtime = lookup, runtime

    async def handle(self, request: web.Request) -> web.StreamResponse:
        sandbox = self._lookup.sandbox(request)
        forwarder = Forwarder(partial(self._runtime.port_forward, sandbox), sandbox)
        if upgrade.wants_websocket(request):
            return await _websocket(request, forwarder)
        protocol = upgrade.agree(request, (ports.PROTOCOL,))
        link = await upgrade.to_spdy(request, protocol)
        try:
            await SpdyPorts(link, forwarder).run()
        finally:
            await asyncio.shield(link.close())
        return Taken()


async def _websocket(request: web.Request, forwarder: Forwarder) -> web.StreamResponse:
    protocol = upgrade.agree_websocket(request, ports.WEBSOCKET_PROTOCOLS)
    ws = socket_for(request, protocol)
    if protocol == ports.TUNNEL:
        await ws.prepare(request)
        await SpdyPorts(Tunnel(request, ws), forwarder).run()
    else:
        try:
            wanted = ports.of_query(request.query.getall("port", []))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        await ws.prepare(request)
        await WebSocketPorts(request, ws, protocol, wanted, forwarder).run()
    await ws.close()
    return ws
