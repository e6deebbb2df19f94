"""One API server: puts the parts together, listens, and stops in order.

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
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from apiserver.admission.chain import default_chain
from apiserver.admission.interface import AdmissionOptions
from apiserver.auth import static_tokens
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.service_account_tokens import ServiceAccountTokens
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.http import chain, tls
from apiserver.http.body import LIMIT
from apiserver.http.bootstrap import Bootstrap
from apiserver.http.kubelet_client import KubeletClient
from apiserver.http.metrics import Metrics
from apiserver.http.reader import CacheReader
from apiserver.http.scope import Services
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.schema.openapi import OpenApi
from apiserver.schema.schemas import Schemas
from apiserver.storage.cacher import Caches
from apiserver.storage.interface import Storage

log = logging.getLogger(__name__)

_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_DRAIN_SECONDS: Final = 2.0
_BACKLOG: Final = 1024
_HEADER_LIMIT: Final = 32 * 1024
"""Of the request line and of one header. Go's is 1 MiB for all of them; a selector so long takes seconds to read."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ApiServer:
    """``port`` is the real one once started. Stopping ends watches cleanly and leaves the storage open."""

    def __init__(self, config: ApiServerConfig, storage: Storage) -> None:
        config.check()
        self.config = config
        self.services = _services(config, storage)
        self.port = config.secure_port
        self._runner: web.ServerRunner | None = None
        self._bootstrap = Bootstrap(self.services)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises ConfigError when the address cannot be bound or a file not be read."""
        if not self.config.advertise_address:
            self.config.advertise_address = _own_address(self.config.bind_address)
        context = await asyncio.to_thread(tls.server_context, self.config, _utc_now())
        server = web.Server(
            chain.build(self.services),
            request_factory=_request,
            access_log=None,
            keepalive_timeout=120.0,
            tcp_keepalive=True,
            logger=_http_log(),
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            auto_decompress=False,  # a body is what was sent, as in the original; Content-Encoding means nothing
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_DRAIN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self.config.bind_address,
            self.config.secure_port,
            ssl_context=context,
            backlog=_BACKLOG,
        )
        await self._bootstrap.namespaces()
        try:
            await site.start()
        except OSError as exc:
            await self._runner.cleanup()
            where = f"--bind-address {self.config.bind_address} --secure-port {self.config.secure_port}"
            raise ConfigError(f"{where}: {exc.strerror or exc}; choose another address or port") from exc
        self.port = self._runner.addresses[0][1]
        self.config.secure_port = self.port
        self._tasks.append(asyncio.create_task(self._bootstrap.run(), name="bootstrap"))

    async def stop(self) -> None:
        """readyz fails first, watches end, open requests get a moment, then the listener closes."""
        self.services.stopping.begin()
        await self._bootstrap.withdraw()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * _DRAIN_SECONDS):
                    await self._runner.cleanup()
        await self.services.caches.close()
        await self.services.kubelet.close()

    @property
    def url(self) -> str:
        host = (
            self.config.advertise_address
            if self.config.bind_address in ("0.0.0.0", "::")
            else self.config.bind_address
        )
        return f"https://{host}:{self.port}"


def _services(config: ApiServerConfig, storage: Storage) -> Services:
    registry = Registry.default(
        RegistryOptions(
            service_cidr=config.service_cluster_ip_range,
            node_port_range=config.service_node_port_range,
            allow_loopback_endpoints=config.allow_loopback_endpoints,
        )
    )
    caches, schemas, rng = Caches(storage), Schemas.load(), random.SystemRandom()
    reader = CacheReader(registry, caches, storage)
    options = AdmissionOptions(
        config.default_not_ready_toleration_seconds, config.default_unreachable_toleration_seconds
    )

    async def lookup(plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        resource = registry.lookup("", "v1", plural)
        return None if resource is None else await reader.get(resource.gvr, namespace, name, fresh=True)

    accounts = ServiceAccountTokens(
        config.service_account_issuer,
        config.service_account_key_file,
        config.service_account_signing_key_file,
        config.api_audiences,
        lookup,
        _utc_now,
    )
    static = static_tokens.load(config.token_auth_file) if config.token_auth_file else None
    authenticator = Authenticator.of(
        static, accounts if accounts.keys else None, config.anonymous_auth, time.monotonic
    )
    return Services(
        config=config,
        storage=storage,
        caches=caches,
        registry=registry,
        schemas=schemas,
        admission=default_chain(reader, options),
        authenticator=authenticator,
        authorizer=Authorizer(config.authorization_mode, caches),
        accounts=accounts,
        now=_utc_now,
        new_uid=lambda: str(uuid.uuid4()),
        random_suffix=partial(_suffix, rng),
        kubelet=KubeletClient(config),
        metrics=Metrics(registry),
        openapi=OpenApi(schemas, registry.resources),
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
