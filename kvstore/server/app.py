"""One member with its client ports, from `settings`: what starts in which order, and how it ends.

bind the client ports -> Member -> gRPC and HTTP behind them -> accept clients -> compaction, backups
... until a signal, or the member's failure; then the same backwards, leadership handed over first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from kvstore.errors import Stopped, StoreError
from kvstore.member import VERSION, Member, MemberConfig
from kvstore.raft.config import TlsFiles
from kvstore.rpc.server import RpcServer
from kvstore.server import autocompact, gateway
from kvstore.server.certificates import Certificates, Files, self_signed
from kvstore.server.front import Backends, Front
from kvstore.server.health import Health
from kvstore.server.metrics import Metrics
from kvstore.server.settings import Settings
from kvstore.server.urls import Url
from kvstore.server.web import Access, Listener, Pages, application

log = logging.getLogger(__name__)

HAND_OVER_SECONDS = 0.5
RPC_GRACE_SECONDS = 0.5
STOP_SECONDS = 1.8
MAX_SOCKET_PATH = 100


class App:
    """`start`, `wait`, `stop`, each once. Raises OSError, `StoreError` and `BadCertificate` from `start`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.member = Member(member_config(settings))
        self._exit = contextlib.AsyncExitStack()
        self._fronts: list[Front] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.ports: dict[Url, int] = {}

    async def start(self) -> None:
        settings = self.settings
        certificates = self._certificates()
        try:
            sockets = _socket_directory(settings.data_dir)
            self._exit.callback(shutil.rmtree, sockets, ignore_errors=True)
            if not settings.listen_http:
                await self._bind_fronts(sockets)
            await self.member.start()
            self._exit.push_async_callback(self.member.stop)
            _make_private(sockets)  # not before the member holds the lock of its directory
            await self._serve(certificates, sockets)
            for front in self._fronts:
                await front.serve()
        except BaseException:
            await self._exit.aclose()
            raise
        self._start_tasks()

    async def wait(self) -> BaseException:
        """Returns only when the member can no longer work."""
        return await self.member.wait_failure()

    async def stop(self) -> None:
        for front in self._fronts:
            front.close_listener()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with contextlib.suppress(StoreError, TimeoutError):
            await asyncio.wait_for(self._hand_over(), HAND_OVER_SECONDS)
        await self._exit.aclose()

    # Inside.

    def _certificates(self) -> Certificates | None:
        tls = self.settings.client_tls
        if not any(url.secure for url in self._urls()):
            return None
        if tls.auto:
            hosts = sorted({url.host for url in self._urls()} | {"localhost", "127.0.0.1"})
            years = self.settings.values.number("self-signed-cert-validity")
            files = self_signed(self.settings.data_dir / "fixtures" / "client", hosts, years)
        else:
            files = Files(Path(tls.cert), Path(tls.key), Path(tls.ca) if tls.ca else None)
        return Certificates(files, self.settings.values.text("tls-min-version"))

    def _urls(self) -> tuple[Url, ...]:
        settings = self.settings
        return (*settings.listen_client, *settings.listen_http, *settings.listen_metrics)

    async def _bind_fronts(self, sockets: Path) -> None:
        for url in self.settings.listen_client:
            scheme = sockets / url.scheme
            front = Front(Backends(f"{scheme}.grpc", f"{scheme}.http", secure=url.secure))
            self.ports[url] = await _bound(front.bind(url.bind_host, url.port), url)
            self._exit.push_async_callback(front.stop)
            self._fronts.append(front)

    async def _serve(self, certificates: Certificates | None, sockets: Path) -> None:
        """gRPC and HTTP: behind the fronts, or each on ports of its own."""
        settings = self.settings
        metrics = Metrics(self.member, VERSION)
        pages = Pages(Health(self.member, metrics.health_recorded), metrics, VERSION)
        access = Access(settings.values.strings("cors"), settings.values.strings("host-whitelist"))
        with_gateway = settings.values.flag("enable-grpc-gateway")
        routes = gateway.routes(RpcServer(self.member).services()) if with_gateway else {}
        app = partial(application, pages, access, routes, self.member.config.max_request_bytes)
        if settings.listen_http:
            for url in settings.listen_client:
                await self._serve_grpc(f"{url.bind_host}:{url.port}", url, certificates)
            for url in settings.listen_http:
                await self._serve_http(app(), url, certificates)
        else:
            for scheme, url in {url.scheme: url for url in settings.listen_client}.items():
                await self._serve_grpc(f"unix:{sockets / scheme}.grpc", url, certificates)
                listener = Listener(app(), certificates if url.secure else None)
                await listener.start_unix(f"{sockets / scheme}.http")
                self._exit.push_async_callback(listener.stop)
        for url in settings.listen_metrics:
            await self._serve_http(application(pages, access), url, certificates)

    async def _serve_grpc(self, address: str, url: Url, certificates: Certificates | None) -> None:
        server = RpcServer(self.member)
        tls = certificates.grpc() if certificates is not None and url.secure else None
        port = await _bound(server.start(address, tls), url)
        self.ports.setdefault(url, port)
        self._exit.push_async_callback(server.stop, RPC_GRACE_SECONDS)

    async def _serve_http(self, app: Any, url: Url, certificates: Certificates | None) -> None:
        listener = Listener(app, certificates if url.secure else None)
        self.ports[url] = await _bound(listener.start_tcp(url.bind_host, url.port), url)
        self._exit.push_async_callback(listener.stop)

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
        where = ", ".join(str(url) for url in self._advertised())
        log.info("ready to serve client requests at %s; leader is %s", where, self.member.member_name(leader))

    def _advertised(self) -> list[Url]:
        return [url._replace(port=self.ports.get(url, url.port)) for url in self.settings.listen_client]

    async def _hand_over(self) -> None:
        """A leader that leaves names its successor: the others need not wait for an election."""
        if not self.member.is_leader:
            return
        others = [p for p in self.member.progress() if p.connected and p.id != self.member.id]
        if others:
            await self.member.move_leader(max(others, key=lambda p: p.match_index).id)


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
    )


async def _bound(binding: Coroutine[Any, Any, int], url: Url) -> int:
    """Names the URL in the error of a port that is taken."""
    try:
        return await binding
    except OSError as error:
        if error.strerror is not None:
            error.strerror = f"listen tcp {url.bind_host}:{url.port}: {error.strerror}"
        raise


def _socket_directory(data_dir: Path) -> Path:
    """Where the private sockets will be. A socket's path must be short: else a temporary directory."""
    inside = data_dir.absolute() / "member" / "clients"
    return inside if len(str(inside)) < MAX_SOCKET_PATH else Path(tempfile.mkdtemp(prefix="kvstore-"))


def _make_private(directory: Path) -> None:
    """Empty, and only for this user's processes: who gets in here is past the front's TLS decision."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
