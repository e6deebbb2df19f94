"""One API server: puts the parts together, listens, and ends in order.

The order of an end, as ``http.lifecycle`` names its stages: ``/readyz`` fails and everything is still served for
``--shutdown-delay-duration``; then no new connections; watches end; what is under way is finished; the rest is cut.

Composition only: which module does what is said in ``apiserver.http.chain``. Readiness does not wait for the
bootstrap objects, except the system namespaces that every client expects.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from apiserver.admission.chain import default_chain
from apiserver.admission.interface import AdmissionOptions
from apiserver.admission.setup import configured_plugins
from apiserver.aggregator.setup import Aggregator
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.journal import Journal
from apiserver.audit import policy
from apiserver.audit.log import AuditLog, Files
from apiserver.audit.policy import Policy
from apiserver.auth import authorizer as authorization
from apiserver.auth import token_keys
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.service_account_tokens import ServiceAccountTokens
from apiserver.auth.structured import authorizer_setup
from apiserver.auth.token_keys import TokenKeys
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.config_files.following import FollowedFile
from apiserver.crd.setup import CustomResources
from apiserver.faults.store import FaultStore
from apiserver.flowcontrol.controller import FlowController
from apiserver.http import authentication, chain, flow_bootstrap, tls
from apiserver.http.body import LIMIT
from apiserver.http.bootstrap import Bootstrap
from apiserver.http.connections import Connections
from apiserver.http.extension import Extension
from apiserver.http.http2.connection import MAX_STREAMS
from apiserver.http.kubelet_client import KubeletClient
from apiserver.http.metrics import Metrics
from apiserver.http.reader import CacheReader
from apiserver.http.scope import Services
from apiserver.http.versions import ResourceVersions
from apiserver.http.writer import StorageWriter
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.schema.openapi import OpenApi
from apiserver.schema.schemas import Schemas
from apiserver.storage.cacher import Caches
from apiserver.storage.encryption.setup import encrypted
from apiserver.storage.interface import Storage
from apiserver.storage.measured import MeasuredStorage
from apiserver.webhook_client import WebhookClient

log = logging.getLogger(__name__)

_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_DRAIN_SECONDS: Final = 2.0
_FLUSH_SECONDS: Final = 2.0
_BACKLOG: Final = 1024
_SERVICES: Final = GroupVersionResource("", "v1", "services")
_ALWAYS_READ: Final = ("namespaces", "flowschemas", "prioritylevelconfigurations")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ApiServer:
    """``port`` is the real one once started. Stopping ends watches cleanly and leaves the storage open."""

    def __init__(
        self,
        config: ApiServerConfig,
        storage: Storage,
        extensions: Sequence[Extension] = (),
        journal: Journal | None = None,
    ) -> None:
        """``journal``: where each write is recorded."""
        config.check()
        self.config = config
        self.followed: list[FollowedFile] = []
        """Files that are read again when they change."""
        self.services = _services(config, storage, self.followed)
        self.services.metrics.reloads = lambda: {
            file.subject: file.reloads for file in self.followed if file.is_configuration
        }
        self.services.extensions = tuple(extensions)
        self.services.journal = journal
        self.port = config.secure_port
        self._runner: web.ServerRunner | None = None
        self._connections: Connections | None = None
        self._bootstrap = Bootstrap(self.services)
        self._custom = CustomResources(self.services)
        self._aggregator = self.services.aggregator = Aggregator(self.services)
        self._tasks: list[asyncio.Task[None]] = []
        # Until the very end; `_tasks` end with the shutdown's begin.
        self._background: list[asyncio.Task[None]] = []
        self._stopped = False
        self._withdrawal: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises ConfigError when the address cannot be bound or a file not be read."""
        if not self.config.advertise_address:
            self.config.advertise_address = _own_address(self.config.bind_address)
        serving = await asyncio.to_thread(tls.Serving, self.config, _utc_now())
        server = Connections(
            chain.build(self.services),
            request_factory=_request,
            max_streams=self.config.http2_max_streams_per_connection or MAX_STREAMS,
            access_log=None,
            tcp_keepalive=True,
            logger=_http_log(),
            auto_decompress=False,  # a body is what was sent, as in the original; Content-Encoding means nothing
        )
        self._connections = server
        self.services.metrics.handshake_errors = lambda: server.handshake_errors
        self._runner = web.ServerRunner(server, shutdown_timeout=_DRAIN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self.config.bind_address,
            self.config.secure_port,
            ssl_context=serving.context,
            backlog=_BACKLOG,
        )
        self.services.caches.require(_needed(self.config))
        self._open_audit_log()
        await self._bootstrap.namespaces()
        await self._custom.start()
        await self._aggregator.start()
        try:
            await site.start()
        except OSError as exc:
            await self._runner.cleanup()
            where = f"--bind-address {self.config.bind_address} --secure-port {self.config.secure_port}"
            raise ConfigError(f"{where}: {exc.strerror or exc}; choose another address or port") from exc
        self.port = self._runner.addresses[0][1]
        self.config.secure_port = self.port
        self._tasks.append(asyncio.create_task(self._bootstrap.run(), name="bootstrap"))
        self._tasks.append(asyncio.create_task(self._custom.run(), name="custom resources"))
        self._tasks.append(asyncio.create_task(self._aggregator.run(), name="aggregation"))
        self._background.append(asyncio.create_task(serving.follow(), name="serving certificates"))
        self._background.append(asyncio.create_task(self.services.caches.prime(), name="essential caches"))
        self._background += [asyncio.create_task(file.run(), name="followed file") for file in self.followed]
        if self.services.flow is not None:
            following = self.services.flow.follow(self.services.caches)
            self._background.append(asyncio.create_task(following, name="flow control"))

    def extend(self, *extensions: Extension) -> None:
        """For those that are made of this server's parts. Before it starts."""
        self.services.extensions += extensions

    @property
    def synced(self) -> bool:
        """Whether the caches that every request needs are filled."""
        return not self.services.caches.unfilled()

    async def furnished(self) -> None:
        """Returns when what a cluster has before anybody creates anything is there."""
        await self._bootstrap.finished.wait()

    def _open_audit_log(self) -> None:
        """Raises ConfigError."""
        if self.services.audit_log is not None:
            try:
                self.services.audit_log.start()
            except OSError as exc:
                raise ConfigError(
                    f"--audit-log-path {self.config.audit_log_path}: {exc.strerror or exc}"
                ) from exc

    def begin_shutdown(self) -> None:
        """``/readyz`` fails from now on, and answers end their connections; everything is still served."""
        self.services.lifecycle.begin_shutdown()
        if self._withdrawal is None:
            self._withdrawal = asyncio.create_task(self._withdraw(), name="withdrawal")

    async def withdrawn(self) -> None:
        """Begins the shutdown; returns when nobody is told of this server any more."""
        self.begin_shutdown()
        if self._withdrawal is not None:
            await self._withdrawal

    async def drain(self) -> None:
        """The orderly end: time for others to look elsewhere, then :meth:`stop`, with time to finish."""
        self.begin_shutdown()
        await asyncio.sleep(self.config.shutdown_delay_duration)
        await self.stop(self.config.request_timeout, _FLUSH_SECONDS)

    async def stop(self, grace: float = _DRAIN_SECONDS, flush: float = 0.1) -> None:
        """No delay. What is under way has ``grace`` seconds to end, then clients ``flush`` seconds to read what is
        left and to say good-bye.
        """
        if self._stopped:
            return
        await self.withdrawn()
        if self._runner is not None:
            await asyncio.gather(*(site.stop() for site in list(self._runner.sites)))
        self.services.stopping.begin()
        if not await self.services.lifecycle.drained(grace):
            log.warning("%d requests are cut off", self.services.lifecycle.under_way)
        if self._connections is not None:
            await self._connections.closed(flush)
        if self._runner is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * _DRAIN_SECONDS):
                    await self._runner.cleanup()
        await self._custom.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self.services.audit_log is not None:
            await asyncio.to_thread(self.services.audit_log.close)
        await self.services.caches.close()
        await self.services.kubelet.close()
        await self.services.authorizer.close()
        if self.services.webhooks is not None:
            await self.services.webhooks.close()
        self._stopped = True

    async def _withdraw(self) -> None:
        """Nobody is told of this server any more, and it does no housekeeping."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bootstrap.withdraw()

    @property
    def url(self) -> str:
        host = (
            self.config.advertise_address
            if self.config.bind_address in ("0.0.0.0", "::")
            else self.config.bind_address
        )
        return f"https://{host}:{self.port}"


def _services(config: ApiServerConfig, storage: Storage, followed: list[FollowedFile]) -> Services:
    """``followed`` gets the files that are read again when they change. Raises ConfigError."""
    registry = Registry.default(
        RegistryOptions(
            service_cidr=config.service_cluster_ip_range,
            node_port_range=config.service_node_port_range,
            allow_loopback_endpoints=config.allow_loopback_endpoints,
        )
    )
    metrics = Metrics(registry.lookup, _owners(registry))
    storage = MeasuredStorage(encrypted(config, storage, registry, followed), metrics.stored)
    caches, schemas, rng = Caches(storage), Schemas.load(), random.SystemRandom()
    reader = CacheReader(registry, caches, storage)
    options = AdmissionOptions(
        config.default_not_ready_toleration_seconds, config.default_unreachable_toleration_seconds
    )

    async def lookup(plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        resource = registry.lookup("", "v1", plural)
        return None if resource is None else await reader.get(resource.gvr, namespace, name, fresh=True)

    keys = TokenKeys()
    followed += token_keys.follow(
        keys, config.service_account_key_file, config.service_account_signing_key_file
    )
    accounts = ServiceAccountTokens(
        config.service_account_issuer, keys, config.api_audiences, lookup, _utc_now
    )

    async def service(namespace: str, name: str) -> dict[str, Any] | None:
        return await reader.get(_SERVICES, namespace, name)

    webhooks, versions = WebhookClient(service), ResourceVersions(registry, schemas)
    authorizer = Authorizer(config.authorization_mode, caches)
    authorizer_setup.follow(config, authorizer, followed)
    return Services(
        config=config,
        storage=storage,
        caches=caches,
        registry=registry,
        schemas=schemas,
        admission=default_chain(
            reader,
            StorageWriter(registry, storage),
            authorizer,
            options,
            configured_plugins(
                caches, versions, webhooks.send, versions.completed, authorizer, _new_uid, versions.atom
            ),
        ),
        authenticator=authentication.build(config, accounts, lookup, _utc_now, followed),
        authorizer=authorizer,
        accounts=accounts,
        now=_utc_now,
        new_uid=_new_uid,
        random_suffix=partial(_suffix, rng),
        kubelet=KubeletClient(config),
        metrics=metrics,
        audit_log=_audit_log(config, metrics),
        audit_policy=_audit_policy(config),
        flow=_flow(config, metrics) if config.enable_priority_and_fairness else None,
        openapi=OpenApi(schemas, registry.resources),
        webhooks=webhooks,
        faults=FaultStore(storage, caches) if config.enable_fault_injection else None,
    )


def _new_uid() -> str:
    return str(uuid.uuid4())


def _needed(config: ApiServerConfig) -> list[str]:
    """Prefixes of the caches that every request asks; ``/readyz`` fails until they are filled."""
    kinds = (*_ALWAYS_READ, *(authorization.KINDS if "RBAC" in config.authorization_mode else ()))
    return [f"/registry/{kind}/" for kind in kinds]


def _audit_policy(config: ApiServerConfig) -> Policy | None:
    """Raises ConfigError."""
    path = config.audit_policy_file
    if path is None:
        return None
    try:
        return policy.read(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, policy.PolicyError) as exc:
        raise ConfigError(f"--audit-policy-file {path}: {exc}") from exc


def _audit_log(config: ApiServerConfig, metrics: Metrics) -> AuditLog | None:
    if not config.audit_log_path:
        return None
    if config.audit_policy_file is None:
        log.warning("--audit-log-path without --audit-policy-file: nothing will be recorded")
        return None
    days, backups = config.audit_log_maxage, config.audit_log_maxbackup
    files = Files(Path(config.audit_log_path), (config.audit_log_maxsize or 100) << 20, backups, days)
    return AuditLog(files, metrics.audited, metrics.audit_lost)


def _owners(registry: Registry) -> dict[str, tuple[str, str]]:
    """Group and resource by the prefix of their keys."""
    return {
        resource.storage_prefix: (resource.gvr.group, resource.gvr.resource)
        for resource in registry.resources
    }


def _flow(config: ApiServerConfig, metrics: Metrics) -> FlowController:
    """A queued request waits a quarter of its time at most, as in the original."""
    seats = config.max_requests_inflight + config.max_mutating_requests_inflight
    return FlowController(
        flow_bootstrap.bundled(), seats, config.request_timeout / 4, time.monotonic, metrics.waited
    )


def _suffix(rng: random.Random) -> str:
    return "".join(rng.choice(_SUFFIX_LETTERS) for _ in range(5))


def _own_address(bind_address: str) -> str:
    """The address peers can reach: the bound one, or that of the interface with the default route."""
    if bind_address not in ("0.0.0.0", "::"):
        return bind_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1; a datagram socket sends nothing on connect
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


class _FaultsOfClients(logging.Filter):
    """What is no HTTP is refused; with a traceback for each, any client could fill the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | ConnectionError | web.RequestPayloadError)


def _http_log() -> logging.Logger:
    found = logging.getLogger(f"{__name__}.http")
    found.filters = [_FaultsOfClients()]
    return found


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LIMIT)
