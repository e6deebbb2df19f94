"""The client port of a member that lives in another program: a master of kuberaft opens it when its topology says so.

The same gRPC, JSON and health pages that the `kvstore` process serves, on one port, without that process's flags.
"""

from __future__ import annotations

from kvstore.config import VERSION
from kvstore.member import Member
from kvstore.rpc.server import RpcServer
from kvstore.server import gateway
from kvstore.server.certificates import Certificates, Files
from kvstore.server.front import ALPN, Front
from kvstore.server.health import Health
from kvstore.server.metrics import Metrics
from kvstore.server.port import Port
from kvstore.server.urls import parse_url
from kvstore.server.web import Access, Pages, WebServer, application

GRACE_SECONDS = 0.5


class ClientPort:
    """`start` raises OSError and `BadCertificate`; `stop` may follow anything."""

    def __init__(self, member: Member, url: str, files: Files) -> None:
        self._url, self._files = parse_url(url), files
        self._rpc = RpcServer(member)
        metrics = Metrics(member, VERSION)
        pages = Pages(Health(member, metrics.health_recorded), metrics, VERSION)
        routes = gateway.routes(self._rpc.services())
        self._web = WebServer(application(pages, Access(), routes, member.config.max_request_bytes))
        self._front = Front(self._rpc.protocol, self._web.connection)
        self._port: Port | None = None

    async def start(self) -> None:
        certificates = Certificates(self._files)
        self._port = Port(self._url, self._front.connection, certificates, ALPN)
        self._port.bind()
        await self._web.start()
        await self._port.serve()

    async def stop(self) -> None:
        if self._port is not None:
            self._port.close()
        self._front.stop()
        await self._rpc.stop(GRACE_SECONDS)
        await self._web.stop()
