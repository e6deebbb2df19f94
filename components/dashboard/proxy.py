"""A door to the dashboard on 127.0.0.1, for one person's browser, while `kuberaft dashboard` runs.

    browser ──HTTP, secret──▶ Proxy ──HTTPS, token of a service account──▶ failover endpoint ──▶ a ready master

A browser that opens the cluster's own address warns of an authority that it does not know. This address needs none:
the proxy checks the server's certificate against the cluster's authority, as kubectl does. What comes in must carry the
secret of this run as its bearer token; the page keeps it in its session storage, which no other origin reads, and it
was handed over in the URL's fragment, which no server sees. There is no cookie, so no other page can make a browser use
it. The token behind it is renewed at half of its life. Leaves out: upgrades (exec, port-forward), which the page does
not use.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import aiohttp
from aiohttp import hdrs, web

from components.client.connect import ssl_context
from components.client.errors import ApiError
from components.client.kubeconfig import ClientConfig

logger = logging.getLogger(__name__)

ONCE_SECONDS: Final = 60.0
STOP_SECONDS: Final = 0.5  # for answers that are under way when the command ends
_CONNECT_SECONDS: Final = 15.0  # the failover endpoint waits up to ten for a master that is ready
_BODY_LIMIT: Final = 4 << 20
_PUBLIC: Final = "/ui"
_ASKED: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.IF_NONE_MATCH)
_NOT_PASSED: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "audit-id"}
)

Mint = Callable[[], Awaitable[str]]


class Proxy:
    """Of `config` the identity is not used. `mint` makes a token; `life` is how long one is good for, in seconds."""

    def __init__(self, config: ClientConfig, mint: Mint, life: float) -> None:
        # The address and its authority alone: a certificate shown here would count for more than the token.
        self._config = replace(config, client_cert=None, client_key=None, token=None)
        self._mint = mint
        self._life = life
        self._secret = secrets.token_urlsafe(32)
        self._once = secrets.token_urlsafe(16)
        self._once_until = 0.0
        self._token, self._renew_at = "", 0.0
        self._minting = asyncio.Lock()
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._host = ""

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1. Raises OSError when the port is taken, ApiError when there is no token."""
        await self._bearer()
        connector = aiohttp.TCPConnector(ssl=ssl_context(self._config), limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        # A browser that leaves a stream ends the stream behind it too.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        with socket.create_server(("127.0.0.1", port)) as listener:
            site = web.SockSite(self._runner, listener.dup())
        await site.start()
        self._host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self._once_until = time.monotonic() + ONCE_SECONDS

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    @property
    def url(self) -> str:
        """For a person: the secret is in the fragment."""
        return f"http://{self._host}{_PUBLIC}/#token={self._secret}"

    @property
    def once_url(self) -> str:
        """For the command line of a browser, which other users of the machine can read: good once, for a minute."""
        return f"http://{self._host}/open/{self._once}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.host != self._host:
            return _refuse(421, f"this is {self._host}")  # a name that leads here is somebody's trick
        if request.path.startswith("/open/"):
            return self._open(request.path.removeprefix("/open/"))
        public = request.path == _PUBLIC or request.path.startswith(f"{_PUBLIC}/")
        if not public and not self._knows(request):
            return _refuse(401, "open the address that kuberaft dashboard printed")
        try:
            return await self._pass_on(request, "" if public else await self._bearer())
        except ApiError as error:
            return _refuse(502, f"no token: {error}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _refuse(502, f"no master answers: {error or type(error).__name__}")

    def _knows(self, request: web.BaseRequest) -> bool:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._secret}".encode())

    def _open(self, given: str) -> web.Response:
        fresh = hmac.compare_digest(given.encode(), self._once.encode())
        if not fresh or time.monotonic() > self._once_until:
            return _refuse(403, "this address was good once; open the one that kuberaft dashboard printed")
        self._once_until = 0.0
        headers = {hdrs.LOCATION: self.url, hdrs.CACHE_CONTROL: "no-store", "Referrer-Policy": "no-referrer"}
        return web.Response(status=303, headers=headers)

    async def _bearer(self) -> str:
        async with self._minting:
            if time.monotonic() >= self._renew_at:
                self._token = await self._mint()
                self._renew_at = time.monotonic() + self._life / 2
            return self._token

    async def _pass_on(self, request: web.BaseRequest, token: str) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        headers[hdrs.USER_AGENT] = "kuberaft-dashboard"
        if token:
            headers[hdrs.AUTHORIZATION] = f"Bearer {token}"
        body = await _body(request)
        async with self._session.request(
            request.method,
            self._config.server + request.raw_path,
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            server_hostname=self._config.tls_server_name,
        ) as upstream:
            return await _copy(request, upstream)


async def _body(request: web.BaseRequest) -> bytes | None:
    if not request.body_exists:
        return None
    if (request.content_length or 0) > _BODY_LIMIT:
        raise web.HTTPRequestEntityTooLarge(_BODY_LIMIT, request.content_length or 0)
    return await request.read()


async def _copy(request: web.BaseRequest, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    """Chunk by chunk, as they come; a stream that breaks off there ends here, and the page asks again."""
    response = web.StreamResponse(status=upstream.status)
    for name, value in upstream.headers.items():
        if name.lower() not in _NOT_PASSED:
            response.headers.add(name, value)
    if upstream.content_length is not None:
        response.content_length = upstream.content_length
    await response.prepare(request)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except aiohttp.ClientError as error:
        logger.info("%s %s broke off: %s", request.method, request.path, error)
        if request.transport is not None:
            request.transport.abort()
    await response.write_eof()
    return response


def _refuse(code: int, text: str) -> web.Response:
    return web.Response(status=code, text=f"{text}\n")
