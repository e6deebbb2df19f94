"""Turns objects, bytes and errors into HTTP answers. The only place that knows how a body is finished."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.http import media, negotiation
from apiserver.http.scope import Exchange, Object

if TYPE_CHECKING:
    from apiserver.http.render import Pieces

GZIP_FROM: Final = 128 * 1024
_OFF_LOOP_FROM: Final = 1024 * 1024  # larger bodies are worked on in a thread, not to stall the loop
_SLOW_FORM_FROM: Final = (
    32 * 1024
)  # those of forms that are written value by value: 0.1 s takes 100 kB of YAML
_ALL_WARNINGS: Final = 4 * 1024  # characters; these two are the original's
_CUT_WARNING: Final = 256
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TEXT: Final = "text/plain; charset=utf-8"


async def json_bytes(exchange: Exchange, data: bytes, code: int = 200) -> web.Response:
    """``data`` is JSON; written as asked for: with line breaks, as YAML, protobuf or CBOR, compressed."""
    accepted = _with_pretty(exchange, exchange.accepted or negotiation.PLAIN)
    written_anew = accepted.pretty or accepted.media_type != negotiation.JSON
    if written_anew and len(data) >= _SLOW_FORM_FROM:
        data = await asyncio.to_thread(media.encode, accepted, data)
    else:
        data = media.encode(accepted, data)
    return await _finish(exchange, data, code, accepted.media_type)


async def json_pieces(exchange: Exchange, pieces: Pieces) -> web.StreamResponse:
    """As :func:`json_bytes`. What can go out as it is does so piece by piece, so that the loop is not held for long."""
    accepted = _with_pretty(exchange, exchange.accepted or negotiation.PLAIN)
    as_it_is = accepted.media_type == negotiation.JSON and not accepted.pretty
    length = len(pieces) + 1
    if not as_it_is or length < GZIP_FROM or _takes_gzip(exchange):
        return await json_bytes(exchange, pieces.joined())
    response = _PiecesResponse(pieces, length, headers=_headers(accepted.media_type))
    add_warnings(exchange, response)
    return response


class _PiecesResponse(web.StreamResponse):
    """Written when the handler is done, as other answers are."""

    def __init__(self, pieces: Pieces, length: int, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self.content_length = length
        self._pieces: Pieces | None = pieces

    async def write_eof(self, data: bytes = b"") -> None:
        pieces, self._pieces = self._pieces, None
        for piece in pieces or ():
            await self.write(piece)
        await super().write_eof(data if pieces is None else b"\n")


def _with_pretty(exchange: Exchange, accepted: negotiation.Accepted) -> negotiation.Accepted:
    """What was negotiated, and line breaks for a reader who seems to be a person."""
    agent = exchange.request.headers.get("User-Agent", "")
    if negotiation.wants_pretty(exchange.query.get("pretty"), agent):
        return replace(accepted, pretty=True)
    return accepted


async def tagged(exchange: Exchange, data: bytes, content_type: str, etag: str) -> web.Response:
    """``data`` is finished; a client that has it already, by its tag, is told so."""
    headers = {"ETag": f'"{etag}"', "Vary": "Accept"}
    known = exchange.request.headers.get("If-None-Match", "")
    if any(tag.strip().removeprefix("W/") in (headers["ETag"], "*") for tag in known.split(",")):
        return web.Response(status=304, headers=headers)
    response = await _finish(exchange, data, 200, content_type)
    vary = response.headers.pop("Vary", None)
    response.headers.update(headers)
    if vary is not None:
        response.headers["Vary"] = f"{vary}, Accept"
    return response


def first_accepted(exchange: Exchange, offered: tuple[str, ...]) -> str | None:
    """The first of the client's choices that is offered; anything goes if it says nothing."""
    clauses = negotiation.clauses(exchange.request.headers.get("Accept") or "*/*")
    for media_type, _ in clauses:
        for offer in offered:
            if media_type in (offer.lower(), "*/*", offer.partition("/")[0] + "/*"):
                return offer
    return None


async def obj(exchange: Exchange, value: Object, code: int = 200) -> web.Response:
    return await json_bytes(exchange, codec.dumps(value), code)


async def _finish(exchange: Exchange, data: bytes, code: int, content_type: str) -> web.Response:
    headers = _headers(content_type)
    if len(data) >= GZIP_FROM and _takes_gzip(exchange):
        if len(data) >= _OFF_LOOP_FROM:
            data = await asyncio.to_thread(gzip.compress, data, 1)
        else:
            data = gzip.compress(data, 1)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    response = web.Response(body=data, status=code, headers=headers)
    add_warnings(exchange, response)
    return response


def _headers(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Cache-Control": "no-cache, private"}


def _takes_gzip(exchange: Exchange) -> bool:
    return "gzip" in exchange.request.headers.get("Accept-Encoding", "")


def add_warnings(exchange: Exchange, response: web.StreamResponse) -> None:
    """And the other headers that every answer has; streamed answers call this before they begin."""
    response.headers.update(exchange.headers)
    for text in warning_texts(exchange.warnings):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def warning_texts(warnings: Iterable[str]) -> list[str]:
    """Those that fit into the headers of an answer: beyond a limit each is cut, then no more are told.

    What has control characters cannot stand in a header and is left out.
    """
    told = [text for text in warnings if _CONTROL.search(text) is None]
    if sum(map(len, told)) <= _ALL_WARNINGS:
        return told
    cut, written = [], 0
    for text in told:
        if written >= _ALL_WARNINGS:
            break
        cut.append(text[:_CUT_WARNING])
        written += len(cut[-1])
    return cut


def error(exchange: Exchange, exc: StatusError) -> web.Response:
    """In the form that the client accepts; one that accepts nothing gets JSON all the same."""
    accepted, data = _form_of_error(exchange), codec.dumps(exc.status())
    headers = {"Content-Type": accepted.media_type, "Cache-Control": "no-cache, private"}
    if exc.retry_after:
        headers["Retry-After"] = str(exc.retry_after)
    response = web.Response(body=media.encode(accepted, data), status=exc.code, headers=headers)
    add_warnings(exchange, response)
    return response


def _form_of_error(exchange: Exchange) -> negotiation.Accepted:
    """Errors are never transformed: a client that accepts a Table alone cannot be served."""
    header, served = exchange.request.headers.get("Accept"), exchange.services.media_types
    try:
        return _with_pretty(exchange, negotiation.negotiate(header, served, transforms=False))
    except StatusError:
        return negotiation.Accepted(pretty=True)


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
