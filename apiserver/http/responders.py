"""Turns objects, bytes and errors into HTTP answers. The only place that knows how a body is finished."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any, Final

from aiohttp import web

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.http import negotiation
from apiserver.http.request_info import truthy
from apiserver.http.scope import Exchange, Object

GZIP_FROM: Final = 128 * 1024
_OFF_LOOP_FROM: Final = 1024 * 1024  # larger bodies are compressed in a thread, not to stall the loop
TEXT: Final = "text/plain; charset=utf-8"


async def json_bytes(exchange: Exchange, data: bytes, code: int = 200) -> web.Response:
    """``data`` is JSON; written as asked for: pretty, YAML, compressed."""
    accepted = exchange.accepted or negotiation.PLAIN
    content_type = negotiation.JSON
    if accepted.media_type == negotiation.YAML:
        import yaml

        data = yaml.safe_dump(codec.decode(data), sort_keys=True, default_flow_style=False).encode()
        content_type = negotiation.YAML
    elif _pretty(exchange):
        data = json.dumps(codec.decode(data), indent=2, ensure_ascii=False).encode()
    return await _finish(exchange, data, code, content_type)


async def other_bytes(exchange: Exchange, data: bytes, content_type: str) -> web.Response:
    """``data`` is finished, in a form of its own."""
    return await _finish(exchange, data, 200, content_type)


async def obj(exchange: Exchange, value: Object, code: int = 200) -> web.Response:
    return await json_bytes(exchange, codec.dumps(value), code)


async def _finish(exchange: Exchange, data: bytes, code: int, content_type: str) -> web.Response:
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
    if len(data) >= GZIP_FROM and "gzip" in exchange.request.headers.get("Accept-Encoding", ""):
        if len(data) >= _OFF_LOOP_FROM:
            data = await asyncio.to_thread(gzip.compress, data, 1)
        else:
            data = gzip.compress(data, 1)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    response = web.Response(body=data, status=code, headers=headers)
    add_warnings(exchange, response)
    return response


def add_warnings(exchange: Exchange, response: web.StreamResponse) -> None:
    for text in exchange.warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def _pretty(exchange: Exchange) -> bool:
    value = exchange.query.get("pretty")
    if value is not None:
        return truthy(value)
    agent = exchange.request.headers.get("User-Agent", "")
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


def error(exchange: Exchange | None, exc: StatusError) -> web.Response:
    headers = {"Content-Type": negotiation.JSON, "Cache-Control": "no-cache, private"}
    if exc.retry_after:
        headers["Retry-After"] = str(exc.retry_after)
    response = web.Response(body=codec.dumps(exc.status()), status=exc.code, headers=headers)
    if exchange is not None:
        add_warnings(exchange, response)
    return response


def text(body: str, code: int = 200, content_type: str = TEXT) -> web.Response:
    return web.Response(
        body=body.encode(),
        status=code,
        headers={"Content-Type": content_type, "X-Content-Type-Options": "nosniff"},
    )


def not_found_page() -> web.Response:
    return text("404 page not found\n", 404)


def success(details: dict[str, Any] | None = None, code: int = 0) -> Object:
    """A Status of success; the original sends ``code`` only from some handlers."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code:
        status["code"] = code
    return status
