"""The HTTP/1.1 side of a member: the JSON gateway, health, version and metrics, as etcd serves them.

`application` with routes is everything, for the client port; without, what `--listen-metrics-urls` serves. A listener
is a TCP port, or a unix socket behind `front`; one with TLS is opened anew when the certificates change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from kvstore.errors import StoreError
from kvstore.server import gateway
from kvstore.server.health import Health, http_error, only_get
from kvstore.server.metrics import CONTENT_TYPE, Metrics, minor

if TYPE_CHECKING:
    from kvstore.server.certificates import Certificates

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HANDSHAKE_SECONDS = 10.0
STOP_SECONDS = 1.0
BODY_FACTOR = 2
"""JSON with base64 takes less than twice the bytes of the message it stands for."""
MAX_HEADER = 32 << 10
NO_GATEWAY: Mapping[str, gateway.Route] = {}


class Pages:
    """What is served; shared by all listeners of a member."""

    def __init__(self, health: Health, metrics: Metrics, version: str) -> None:
        self._health = health
        self._metrics = metrics
        self._version = version

    def metrics_routes(self, router: web.UrlDispatcher) -> None:
        self._health.add_to(router)
        router.add_route("*", "/version", only_get(self._serve_version))
        router.add_route("*", "/metrics", only_get(self._serve_metrics))

    async def _serve_version(self, request: web.Request) -> web.Response:
        cluster = minor(self._version)
        return gateway.json_response(
            {"etcdserver": self._version, "etcdcluster": cluster, "storage": cluster}
        )

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})


class Access:
    """`--cors` and `--host-whitelist`; empty or * is everyone."""

    def __init__(self, origins: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> None:
        self._origins = frozenset(origins) - {"*"} if "*" not in origins else frozenset()
        self._hosts = frozenset(hosts) if "*" not in hosts else frozenset()

    def refuses(self, request: web.Request) -> bool:
        if not self._hosts or request.secure:
            return False
        return request.host.rpartition(":")[0] not in self._hosts and request.host not in self._hosts

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = "kvstore"
        origin = request.headers.get("Origin", "")
        if self._origins and origin not in self._origins:
            return
        response.headers["Access-Control-Allow-Methods"] = "POST, GET, OPTIONS, PUT, DELETE"
        response.headers["Access-Control-Allow-Origin"] = origin if self._origins else "*"
        response.headers["Access-Control-Allow-Headers"] = "accept, content-type, authorization"


def application(
    pages: Pages, access: Access, routes: Mapping[str, gateway.Route] = NO_GATEWAY, max_request: int = 0
) -> web.Application:
    app = web.Application(middlewares=[_guard(access)])
    app.on_response_prepare.append(access.add_headers)
    pages.metrics_routes(app.router)
    for path, route in routes.items():
        app.router.add_route("*", path, _only_post(gateway.handler(route, BODY_FACTOR * max_request)))
    if routes:
        app.router.add_route("*", "/v3{prefix:(beta)?}/{path:.*}", _no_call)
    app.router.add_route("*", "/{path:.*}", _no_page)
    return app


def _guard(access: Access) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if access.refuses(request):
            return http_error(f'host "{request.host}" is not in --host-whitelist', 421)
        if request.method == "OPTIONS":
            return web.Response()
        try:
            return await handler(request)
        except StoreError as error:
            return gateway.failure(error)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            log.error(
                "%s %s failed: %r",
                request.method,
                request.path,
                error,
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
            return http_error("Internal Server Error", 500)

    return guard


def _only_post(handle: Handler) -> Handler:
    async def wrapped(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return http_error("Method Not Allowed", 405)
        return await handle(request)

    return wrapped


async def _no_call(request: web.Request) -> web.StreamResponse:
    return http_error("Not Found", 404)


async def _no_page(request: web.Request) -> web.StreamResponse:
    return http_error("404 page not found", 404)


class Listener:
    """One application on one socket."""

    def __init__(self, app: web.Application, certificates: Certificates | None = None) -> None:
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=STOP_SECONDS,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )
        self._certificates = certificates
        self._server: asyncio.Server | None = None
        self._follower: asyncio.Task[None] | None = None

    async def start_unix(self, path: str) -> None:
        async def listen() -> asyncio.Server:
            return await asyncio.get_running_loop().create_unix_server(self._factory, path, **self._tls())

        await self._start(listen)

    async def start_tcp(self, host: str, port: int) -> int:
        """The port that was bound. Raises OSError."""
        bound = port

        async def listen() -> asyncio.Server:
            loop = asyncio.get_running_loop()
            return await loop.create_server(self._factory, host, bound, **self._tls())

        server = await self._start(listen)
        bound = int(server.sockets[0].getsockname()[1])
        return bound

    async def stop(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    async def _start(self, listen: Callable[[], Awaitable[asyncio.Server]]) -> asyncio.Server:
        await self._runner.setup()
        server = self._server = await listen()
        if self._certificates is not None:
            self._follower = asyncio.get_running_loop().create_task(self._follow(self._certificates, listen))
        return server

    async def _follow(
        self, certificates: Certificates, listen: Callable[[], Awaitable[asyncio.Server]]
    ) -> None:
        """Open the listener anew with certificates that changed; connections that are there stay."""
        seen = certificates.generation
        while True:
            await asyncio.sleep(1.0)
            if certificates.generation == seen:
                continue
            seen = certificates.generation
            assert self._server is not None
            self._server.close()
            self._server = await listen()

    def _factory(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        return cast(asyncio.Protocol, server())

    def _tls(self) -> dict[str, Any]:
        if self._certificates is None:
            return {}
        return {"ssl": self._certificates.context(), "ssl_handshake_timeout": HANDSHAKE_SECONDS}
