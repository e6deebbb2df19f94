"""The kubelet's HTTPS server: what the API server asks a node for (logs, commands, ports, pods, statistics) and
health.

TLS with a client certificate of the cluster's CA; without certificate files the server does not start
(its answers hold logs and environment). `authorization` asks whether that client may. Routes as the original's
pkg/kubelet/server/server.go.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from components.kubelet.config import KubeletConfig
from components.kubelet.runtime.interface import Runtime
from components.kubelet.server import records, stats
from components.kubelet.server.authorization import Authorization, Reviewer
from components.kubelet.server.logs import LogHandler
from components.kubelet.server.lookup import Lookup
from components.kubelet.server.portforward.handler import PortForward
from components.kubelet.server.remotecommand.handler import RemoteCommand

if TYPE_CHECKING:
    from components.kubelet.kubelet import Kubelet

log = logging.getLogger(__name__)


class KubeletServer:
    def __init__(self, config: KubeletConfig, kubelet: Kubelet, runtime: Runtime) -> None:
        self._config, self._kubelet, self._runtime = config, kubelet, runtime
        self._runner: web.AppRunner | None = None
        self.port = config.port

    async def start(self, reviewer: Reviewer) -> None:
        """Listen on the node's address; nothing is served without TLS, or to whom `reviewer` does not allow it."""
        context = self._tls()
        if context is None:
            log.warning("no --tls-cert-file and --client-ca-file: logs and statistics are not served")
            return
        clock = asyncio.get_running_loop().time
        guard = Authorization(reviewer, self._config.node_name, clock)
        application = self.application()
        application.middlewares.append(guard.middleware)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._config.node_ip, self._config.port, ssl_context=context, shutdown_timeout=1.0
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext | None:
        config = self._config
        if config.tls_cert_file is None or config.client_ca_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(config.client_ca_file))
        context.load_cert_chain(str(config.tls_cert_file), str(config.tls_private_key_file))
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def application(self) -> web.Application:
        app = web.Application()
        lookup = Lookup(self._kubelet.pods.store.list, self._runtime)
        commands = RemoteCommand(lookup, self._runtime)
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/pods", self._pods)
        logs = LogHandler(lookup, self._runtime)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs.handle)
        app.router.add_get("/stats/summary", self._summary)
        app.router.add_get("/metrics/resource", self._metrics)
        app.router.add_get(records.PATH, records.Records(self._kubelet.steps.journal).handle)
        for place in ("{namespace}/{pod}", "{namespace}/{pod}/{uid}"):
            _both(app, f"/exec/{place}/{{container}}", commands.exec)
            _both(app, f"/attach/{place}/{{container}}", commands.attach)
            _both(app, f"/portForward/{place}", PortForward(lookup, self._runtime).handle)
            app.router.add_post(f"/run/{place}/{{container}}", commands.run)
        return app

    async def _pods(self, _request: web.Request) -> web.Response:
        items = self._kubelet.pods.store.list()
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _summary(self, _request: web.Request) -> web.Response:
        usage = await asyncio.to_thread(self._runtime.container_stats)
        return web.json_response(stats.summary(self._config.node_name, self._runtime, usage))

    async def _metrics(self, _request: web.Request) -> web.Response:
        usage = await asyncio.to_thread(self._runtime.container_stats)
        return web.Response(text=stats.resource_metrics(self._runtime, usage), content_type="text/plain")


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _both(
    app: web.Application, path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    """WebSocket clients come with GET, the others with POST."""
    app.router.add_get(path, handler, allow_head=False)
    app.router.add_post(path, handler)
