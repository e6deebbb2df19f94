"""The HTTP/1.1 side of a member: the JSON gateway, health, version and metrics, as etcd serves them.

`application` with routes is everything, for the client port; without, what `--listen-metrics-urls` serves. Connections
come from `port`, or from `front`, which shares a port with gRPC.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Middleware

from kvstore.errors import StoreError
from kvstore.server import gateway
from kvstore.server.health import Health, http_error, only_get
from kvstore.server.metrics import CONTENT_TYPE, Metrics, minor

log = logging.getLogger(__name__)
http_log = logging.getLogger(f"{__name__}.requests")
"""aiohttp's, about requests that cannot be read."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
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


def _in_one_line(record: logging.LogRecord) -> bool:
    """What strangers send is worth a line, not a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        reason = " ".join(str(error).split())[:200]
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {reason}", (), None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


http_log.addFilter(_in_one_line)


class WebServer:
    """An application without a port: `connection` makes the protocol of one that was accepted."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            logger=http_log,
            shutdown_timeout=STOP_SECONDS,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )

    async def start(self) -> None:
        await self._runner.setup()

    def connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        return cast(asyncio.Protocol, server())

    async def stop(self) -> None:
        await self._runner.cleanup()
