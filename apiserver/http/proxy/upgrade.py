"""Upgraded requests: the backend's answer to the upgrade is the client's, and from a 101 on bytes go both ways.

Used for exec, attach and port-forward (to the kubelet, which speaks all their protocols) and for WebSockets through
the proxies. Nothing of what travels is looked at. Errors before the 101 are Status objects; a refusal of the
backend is passed on as it is. Follows apimachinery's util/proxy/upgradeaware.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.http.proxy import headers
from apiserver.http.proxy.lifetime import CutOff, attended
from apiserver.http.proxy.target import Target
from apiserver.http.scope import Exchange
from apiserver.streaming import Link, Taken, dial, splice, take_over

_DIAL_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 30.0
_BODY_SECONDS: Final = 10.0


def is_upgrade(request: web.BaseRequest) -> bool:
    return any("upgrade" in value.lower() for value in request.headers.getall("Connection", []))


async def tunnel(exchange: Exchange, target: Target) -> web.StreamResponse:
    """Raises StatusError as long as the client can still be told."""
    backend = await _dial(target)
    try:
        await backend.write(_head(exchange, target))
        answer = await backend.read_head(_ANSWER_SECONDS)
        status = _status(answer)
        if status != 101 and status < 400:
            raise errors.unknown(f"invalid upgrade response: status code {status}")
        client = take_over(exchange.request)
    except ConnectionError as error:
        await backend.close()
        raise errors.unknown(str(error)) from error
    except BaseException:
        await backend.close()
        raise
    exchange.begun(status)
    if status == 101:
        with contextlib.suppress(CutOff):
            await attended(exchange, _forward(client, backend, answer), watch_client=False)
    else:
        await _refuse(client, backend, answer)
    return Taken(status)


async def _dial(target: Target) -> Link:
    where = f"dial tcp {target.host}:{target.port}"
    try:
        context = target.context if target.scheme == "https" else None
        return await dial(target.host, target.port, context, _DIAL_SECONDS, target.server_name)
    except TimeoutError:
        raise errors.unknown(f"error dialing backend: {where}: i/o timeout") from None
    except ssl.SSLError as error:
        raise errors.unknown(f"error dialing backend: tls: {error.reason or error}") from error
    except OSError as error:
        raise errors.unknown(f"error dialing backend: {where}: {os_text(error)}") from error


def os_text(error: OSError) -> str:
    """As Go words it: `connect: connection refused`."""
    text = error.strerror or str(error)
    if "Connect call failed" in text:
        text = "Connection refused"
    return f"connect: {text.lower()}"


def _head(exchange: Exchange, target: Target) -> bytes:
    request = exchange.request
    pairs = headers.for_upgrade(headers.decoded(request.raw_headers), request.remote or "")
    if target.user is not None:
        pairs = headers.as_user(pairs, target.user, target.authority, exchange.headers.get("Audit-Id", ""))
    lines = [f"{request.method} {target.uri} HTTP/1.1"]
    lines += [f"{name}: {_wire(value)}" for name, value in pairs]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _wire(value: str) -> str:
    """What came in as bytes goes out as the same bytes; names of users may have any letters, and go as UTF-8."""
    return value if value.isascii() or max(value) <= "\xff" else value.encode().decode("latin-1")


def _status(head: bytes) -> int:
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1][:3].isdigit():
        raise ConnectionError(f'malformed HTTP response "{head[:40].decode("latin-1")}"')
    return int(words[1][:3])


async def _forward(client: Link, backend: Link, answer: bytes) -> None:
    """Both are closed in the end, also when this is cut off."""
    try:
        await client.write(answer)
        await splice(client, backend)
    except ConnectionError:
        return
    finally:
        await client.close()
        await backend.close()


async def _refuse(client: Link, backend: Link, answer: bytes) -> None:
    """The backend's own words, then the end."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            await client.write(answer)
            length = _content_length(answer.split(b"\r\n"))
            if length is not None:
                await client.write(await backend.read_exactly(length))
            else:
                while data := await backend.read():
                    await client.write(data)
    except (TimeoutError, ConnectionError):
        pass  # what was sent until now is all the client gets
    finally:
        await backend.close()
        await client.close()


def _content_length(lines: Iterable[bytes]) -> int | None:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None
