"""Answers a request for SPDY with 101 and takes the connection over."""

from __future__ import annotations

from aiohttp import web

from apiserver.streaming import Link, take_over
from components.kubelet.server import handshake


def refuse(error: handshake.HandshakeError) -> web.HTTPException:
    """As the HTTP answer that aiohttp sends when it is raised."""
    kind = web.HTTPBadRequest if error.status == 400 else web.HTTPForbidden
    answer = kind(text=f"{error}\n")
    for protocol in error.accepted:
        answer.headers.add(handshake.ACCEPTED_HEADER, protocol)
    return answer


def agree(request: web.Request, supported: tuple[str, ...]) -> str:
    """The stream protocol of a SPDY request. Raises the HTTP answer that refuses it."""
    values = request.headers.getall(handshake.VERSION_HEADER, [])
    try:
        protocol = handshake.stream_protocol(values, supported, len(request.headers))
    except handshake.HandshakeError as error:
        raise refuse(error) from error
    wants_spdy = handshake.SPDY_31.lower() in request.headers.get("Upgrade", "").lower()
    if not (wants_spdy and handshake.is_upgrade(request.headers.getall("Connection", []))):
        raise web.HTTPBadRequest(text="unable to upgrade: missing upgrade headers in request\n")
    return protocol


async def to_spdy(request: web.Request, protocol: str) -> Link:
    link = take_over(request)
    head = (
        f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {handshake.SPDY_31}\r\n"
        f"{handshake.VERSION_HEADER}: {protocol}\r\n\r\n"
    )
    await link.write(head.encode())
    return link


def wants_websocket(request: web.Request) -> bool:
    connection = request.headers.getall("Connection", [])
    return request.headers.get("Upgrade", "").lower() == "websocket" and handshake.is_upgrade(connection)


def agree_websocket(request: web.Request, supported: tuple[str, ...]) -> str:
    try:
        return handshake.websocket_protocol(request.headers.getall("Sec-WebSocket-Protocol", []), supported)
    except handshake.HandshakeError as error:
        raise refuse(error) from error
