"""Plain HTTP through the proxy: the request goes on, the answer comes back as it arrives.

Bodies are streamed in both directions and never kept, but for HTML, whose links are changed. Answers that the backend
compressed stay so. Follows httputil.ReverseProxy with apimachinery's proxy transport around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import posixpath
import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from apiserver.api import errors
from apiserver.http.proxy import headers
from apiserver.http.proxy.lifetime import attended
from apiserver.http.proxy.rewrite import Rewriter
from apiserver.http.proxy.target import Target
from apiserver.http.proxy.upgrade import os_text
from apiserver.http.scope import Exchange

_CHUNK: Final = 64 * 1024
_HTML_LIMIT: Final = 16 << 20
_CONNECT_SECONDS: Final = 30.0
_AUTOMATIC: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


async def forward(exchange: Exchange, target: Target) -> web.StreamResponse:
    request = exchange.request
    if not target.path and request.method in ("GET", "HEAD"):
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        return web.Response(status=301, headers={"Location": f"{request.rel_url.raw_path}/{query}"})
    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    connector = TCPConnector(ssl=target.context or True, force_close=True)
    async with ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        upstream = await attended(exchange, _ask(session, exchange, target))
        async with upstream:
            return await _answer(exchange, target, upstream)


def prefix(target: Target, path: str) -> str:
    """The path of this server that stands for the backend's root."""
    return path.removesuffix(target.path) if target.path else path


async def _ask(session: ClientSession, exchange: Exchange, target: Target) -> ClientResponse:
    request = exchange.request
    own = prefix(target, request.rel_url.raw_path)
    uri = posixpath.normpath(own + target.path) + ("/" if target.path.endswith("/") else "")
    pairs = headers.for_request(headers.decoded(request.raw_headers), request.remote or "", uri)
    if target.user is not None:
        pairs = headers.as_user(pairs, target.user, target.authority, exchange.headers.get("Audit-Id", ""))
    try:
        return await session.request(
            request.method,
            URL(target.url, encoded=True),
            server_hostname=target.server_name or None,
            headers=CIMultiDict(pairs),
            data=_body(request) if request.can_read_body else None,
            allow_redirects=False,
            skip_auto_headers=_AUTOMATIC,
        )
    except ClientConnectorError as error:
        why = f"dial tcp {target.host}:{target.port}: {os_text(error.os_error)}"
        raise errors.service_unavailable(f"error trying to reach service: {why}") from error
    except TimeoutError:
        why = f"dial tcp {target.host}:{target.port}: i/o timeout"
        raise errors.service_unavailable(f"error trying to reach service: {why}") from None
    except (ClientError, OSError) as error:
        raise errors.service_unavailable(f"error trying to reach service: {error or 'EOF'}") from error


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(_CHUNK):
        yield chunk


async def _answer(exchange: Exchange, target: Target, upstream: ClientResponse) -> web.StreamResponse:
    request = exchange.request
    rewriter = Rewriter(prefix(target, request.rel_url.raw_path), target.authority, request.host)
    found: CIMultiDict[str] = CIMultiDict(headers.for_response(headers.decoded(upstream.raw_headers)))
    location = found.get("Location")
    if location:
        found["Location"] = rewriter.url(location)
    elif upstream.content_type == "text/html" and request.method != "HEAD":
        body = await _html(upstream, rewriter)
        if body is not None:
            found.popall("Content-Length", None)
            return web.Response(status=upstream.status, reason=upstream.reason, headers=found, body=body)
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=found)
    if "Content-Length" not in found and request.version >= (1, 1) and _has_body(request, upstream):
        response.enable_chunked_encoding()
    response.headers.update(exchange.headers)
    await response.prepare(request)
    exchange.begun(response.status)
    if _has_body(request, upstream):
        await _copy(exchange, upstream, response)
    return response


def _has_body(request: web.BaseRequest, upstream: ClientResponse) -> bool:
    return request.method != "HEAD" and upstream.status not in (204, 304)


async def _copy(exchange: Exchange, upstream: ClientResponse, response: web.StreamResponse) -> None:
    """Every piece as it comes. If the backend breaks off so must this answer, or it would pass for complete."""
    try:
        await attended(exchange, _pieces(upstream, response))
    except (ClientError, ConnectionError):
        if exchange.request.transport is not None:
            exchange.request.transport.abort()


async def _pieces(upstream: ClientResponse, response: web.StreamResponse) -> None:
    async for chunk in upstream.content.iter_any():
        await response.write(chunk)
    await response.write_eof()


async def _html(upstream: ClientResponse, rewriter: Rewriter) -> bytes | None:
    """The page with its links changed; None if it is packed in a way that is not understood here."""
    encoding = upstream.headers.get("Content-Encoding", "")
    if encoding not in ("", "gzip", "deflate"):
        return None
    raw = bytearray()
    with contextlib.suppress(ClientError):
        async for chunk in upstream.content.iter_any():
            raw += chunk
            if len(raw) > _HTML_LIMIT:
                raise errors.service_unavailable("error trying to reach service: the page is too large")
    return await asyncio.to_thread(_rewritten, bytes(raw), encoding, rewriter)


def _rewritten(raw: bytes, encoding: str, rewriter: Rewriter) -> bytes:
    unpack: dict[str, Any] = {"gzip": gzip.decompress, "deflate": lambda data: zlib.decompress(data, -15)}
    pack: dict[str, Any] = {"gzip": gzip.compress, "deflate": _deflate}
    try:
        text = unpack[encoding](raw) if encoding else raw
    except (OSError, EOFError, zlib.error):
        return raw
    changed = rewriter.html(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    packed: bytes = pack[encoding](changed) if encoding else changed
    return packed


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()
