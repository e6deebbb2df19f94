"""One member with its client ports, from `settings`: what starts in which order, and how it ends.

bind the client ports -> Member -> gRPC and HTTP behind them -> accept clients -> compaction, backups
... until a signal, or the member's failure; then the same backwards, leadership handed over first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from kvstore.config import VERSION, MemberConfig
from kvstore.errors import Stopped, StoreError
from kvstore.http2.frames import MAX_WINDOW
from kvstore.http2.limits import Limits
from kvstore.member import Member
from kvstore.raft.config import TlsFiles
from kvstore.rpc.grpc.connection import limits
from kvstore.rpc.server import RpcServer
from kvstore.server import autocompact, gateway
from kvstore.server.certificates import Certificates, Files
from kvstore.server.front import ALPN, Factory, Front
from kvstore.server.health import Health
from kvstore.server.metrics import Metrics
from kvstore.server.port import Port
from kvstore.server.settings import Settings, Values
from kvstore.server.urls import Url
from kvstore.server.web import Access, Pages, WebServer, application

log = logging.getLogger(__name__)

HAND_OVER_SECONDS = 0.5
RPC_GRACE_SECONDS = 0.5


class App:
    """`start`, `wait`, `stop`, each once. Raises OSError, `StoreError` and `BadCertificate` from `start`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.member = Member(member_config(settings))
        self.ports: list[Port] = []
        self._exit = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        self._start_tasks()

    async def wait(self) -> BaseException:
        """Returns only when the member can no longer work."""
        return await self.member.wait_failure()

    async def stop(self) -> None:
        for port in self.ports:
            port.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with contextlib.suppress(StoreError, TimeoutError):
            await asyncio.wait_for(self._hand_over(), HAND_OVER_SECONDS)
        await self._exit.aclose()

    # Inside.

    async def _start(self) -> None:
        """The ports are bound first, so that one that is taken leaves no trace in the data directory."""
        rpc = RpcServer(self.member, _limits(self.settings.values))
        client, metrics = (WebServer(app) for app in self._applications(rpc))
        self._open_ports(rpc, client, metrics)
        for server in (client, metrics):
            await server.start()
            self._exit.push_async_callback(server.stop)
        await self.member.start()
        self._exit.push_async_callback(self.member.stop)
        self._exit.push_async_callback(rpc.stop, RPC_GRACE_SECONDS)
        if self.settings.initial_corrupt_check:
            await self.member.check_data(self.member.config.request_timeout)
        for port in self.ports:
            await port.serve()

    def _applications(self, rpc: RpcServer) -> tuple[web.Application, web.Application]:
        """(for clients, for metrics)"""
        values = self.settings.values
        shown = Metrics(self.member, VERSION)
        pages = Pages(Health(self.member, shown.health_recorded), shown, VERSION)
        access = Access(values.strings("cors"), values.strings("host-whitelist"))
        routes = gateway.routes(rpc.services()) if values.flag("enable-grpc-gateway") else {}
        limit = values.number("max-request-bytes")
        return application(pages, access, routes, limit), application(pages, access)

    def _open_ports(self, rpc: RpcServer, client: WebServer, metrics: WebServer) -> None:
        settings, certificates = self.settings, self._certificates()
        if settings.listen_http:
            self._open(settings.listen_client, rpc.protocol, certificates, ("h2",))
            self._open(settings.listen_http, client.connection, certificates, ("http/1.1",))
        else:
            front = Front(rpc.protocol, client.connection)
            self._exit.callback(front.stop)
            self._open(settings.listen_client, front.connection, certificates, ALPN)
        self._open(settings.listen_metrics, metrics.connection, certificates, ("http/1.1",))

    def _open(
        self,
        urls: tuple[Url, ...],
        factory: Factory,
        certificates: Certificates | None,
        alpn: tuple[str, ...],
    ) -> None:
        for url in urls:
            port = Port(url, factory, certificates, alpn)
            port.bind()
            self._exit.callback(port.close)
            self.ports.append(port)

    def _certificates(self) -> Certificates | None:
        settings, tls = self.settings, self.settings.client_tls
        urls = (*settings.listen_client, *settings.listen_http, *settings.listen_metrics)
        if not any(url.secure for url in urls):
            return None
        if tls.auto:
            hosts = sorted({url.host for url in urls} | {"localhost", "127.0.0.1"})
            years = settings.values.number("self-signed-cert-validity")
            from kvstore.server.selfsigned import self_signed  # slow to import, rarely wanted

            files = self_signed(settings.data_dir / "fixtures" / "client", hosts, years)
        else:
            files = Files(Path(tls.cert), Path(tls.key), Path(tls.ca) if tls.ca else None)
        return Certificates(files, settings.values.text("tls-min-version"))

    def _start_tasks(self) -> None:
        settings = self.settings
        self._background(self._report_ready())
        if settings.retention is not None:
            self._background(autocompact.run(self.member, settings.retention))
        if settings.backups is not None:
            from kvstore.commands import schedule

            backups = settings.backups
            self._background(
                schedule.run(self.member, Path(backups.directory), backups.schedule, backups.keep)
            )

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _report_ready(self) -> None:
        while True:
            try:
                leader = await self.member.wait_leader(timeout=10.0)
                break
            except Stopped:
                return  # the process ends, by `wait`: it needs the loop for that
            except StoreError:
                log.warning("still waiting for a quorum of the other members")
                await asyncio.sleep(1.0)
        where = ", ".join(str(port.url._replace(port=port.number)) for port in self.ports)
        log.info("ready to serve client requests at %s; leader is %s", where, self.member.member_name(leader))

    async def _hand_over(self) -> None:
        """A leader that leaves names its successor: the others need not wait for an election."""
        if not self.member.is_leader:
            return
        voters = set(self.member.voters()) - {self.member.id}
        others = [p for p in self.member.progress() if p.connected and p.id in voters]
        if others:
            await self.member.move_leader(max(others, key=lambda p: p.match_index).id)


def _limits(values: Values) -> Limits:
    return limits(
        min(values.number("max-concurrent-streams"), MAX_WINDOW),
        values.seconds("grpc-keepalive-interval"),
        values.seconds("grpc-keepalive-timeout"),
    )


def member_config(settings: Settings) -> MemberConfig:
    values, tls = settings.values, settings.peer_tls
    peer = settings.listen_peer[0]
    cluster = {name: (urls[0].bind_host, urls[0].port) for name, urls in settings.initial_cluster.items()}
    return MemberConfig(
        name=settings.name,
        data_dir=settings.data_dir,
        initial_cluster=cluster,
        listen=(peer.bind_host, peer.port),
        cluster_token=settings.token,
        tls=TlsFiles(Path(tls.cert), Path(tls.key), Path(tls.ca)) if tls.cert else None,
        quota_bytes=settings.quota,
        heartbeat_interval=settings.heartbeat,
        election_timeout=settings.election,
        unsafe_no_fsync=values.flag("unsafe-no-fsync"),
        max_request_bytes=values.number("max-request-bytes"),
        snapshot_count=values.number("snapshot-count"),
        corrupt_check_time=values.seconds("corrupt-check-time"),
        max_txn_ops=values.number("max-txn-ops"),
        client_urls=tuple(str(url) for url in settings.advertise_client),
        auth_token_ttl=values.number("auth-token-ttl"),
        bcrypt_cost=values.number("bcrypt-cost"),
        watch_progress_interval=settings.progress_interval,
        joins=settings.existing,
        follows_state=True,
        force_new_cluster=values.flag("force-new-cluster"),
    )
