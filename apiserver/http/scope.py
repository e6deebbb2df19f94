"""What every handler works with: the server's parts (:class:`Services`) and one request's state (:class:`Exchange`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from apiserver.api import errors
from apiserver.api.journal import Journal
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.service_account_tokens import ServiceAccountTokens
from apiserver.auth.user import ANONYMOUS_USER, User
from apiserver.config import ApiServerConfig
from apiserver.http.fanout import Fanout
from apiserver.http.lifecycle import Lifecycle
from apiserver.http.negotiation import MEDIA_TYPES, WITH_CBOR, Accepted
from apiserver.http.request_info import RequestInfo
from apiserver.storage.cacher import Caches, ResourceCache
from apiserver.storage.interface import Storage

if TYPE_CHECKING:
    from apiserver.admission.chain import Chain
    from apiserver.aggregator.setup import Aggregator
    from apiserver.audit.log import AuditLog
    from apiserver.audit.policy import Policy
    from apiserver.faults.store import FaultStore
    from apiserver.flowcontrol.controller import FlowController
    from apiserver.http.extension import Extension
    from apiserver.http.handlers.watch import Watcher
    from apiserver.http.kubelet_client import KubeletClient
    from apiserver.http.metrics import Metrics
    from apiserver.registry.table import Registry, Resource
    from apiserver.schema.openapi import OpenApi
    from apiserver.schema.schemas import Schemas
    from apiserver.webhook_client import WebhookClient

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the log of the store a revision was made, and which member led then."""

    index: int
    term: int
    leader: str


def _nowhere(_: int) -> Placement | None:
    """The store does not say."""
    return None


class Stopping:
    """Whether the server has begun to stop; true from then on. Long requests ask to be told."""

    def __init__(self) -> None:
        self._begun = False
        self._callbacks: dict[Callable[[], None], None] = {}

    def __bool__(self) -> bool:
        return self._begun

    def begin(self) -> None:
        self._begun = True
        for callback in list(self._callbacks):
            callback()

    def tell(self, callback: Callable[[], None]) -> None:
        self._callbacks[callback] = None

    def forget(self, callback: Callable[[], None]) -> None:
        self._callbacks.pop(callback, None)


@dataclass(slots=True)
class Services:
    config: ApiServerConfig
    storage: Storage
    caches: Caches
    registry: Registry
    schemas: Schemas
    admission: Chain
    authenticator: Authenticator
    authorizer: Authorizer
    accounts: ServiceAccountTokens
    now: Callable[[], datetime]
    new_uid: Callable[[], str]
    random_suffix: Callable[[], str]
    kubelet: KubeletClient
    metrics: Metrics
    openapi: OpenApi
    stopping: Stopping = field(default_factory=Stopping)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    flow: FlowController | None = None
    audit_log: AuditLog | None = None
    audit_policy: Policy | None = None
    webhooks: WebhookClient | None = None
    aggregator: Aggregator | None = None
    faults: FaultStore | None = None
    fanout: Fanout = field(default_factory=Fanout)
    extensions: tuple[Extension, ...] = ()
    journal: Journal | None = None
    placement: Callable[[int], Placement | None] = _nowhere

    @property
    def media_types(self) -> tuple[str, ...]:
        """The forms that objects are read and written in."""
        return WITH_CBOR if "CBORServingAndStorage" in self.config.feature_gates else MEDIA_TYPES

    def cache(self, resource: Resource) -> ResourceCache:
        return self.caches.of(resource.storage_prefix + "/")


@dataclass(slots=True)
class Exchange:
    """One request on its way through the chain. ``warnings`` (ordered, each once) become Warning headers of the answer,
    ``headers`` are headers of it; ``steps`` tells a slow one's story: (``time.perf_counter()``, what was done by then).
    For the audit log: ``body`` once it is
    read, ``annotations``, ``panic`` says what nobody expected, and streamed answers tell of their beginning.
    Left by ``filters.faults``: ``read_at``, the revision to read at instead of the newest; ``watcher`` makes who serves
    a watch.
    """

    request: web.BaseRequest
    services: Services
    info: RequestInfo
    user: User = ANONYMOUS_USER
    accepted: Accepted | None = None
    warnings: dict[str, None] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[float, str]] = field(default_factory=list)
    body: bytes = b""
    annotations: dict[str, str] = field(default_factory=dict)
    panic: str = ""
    on_begun: Callable[[int], None] | None = None
    extension: Extension | None = None
    read_at: int = 0
    watcher: Callable[..., Watcher] | None = None
    _resource: Resource | None = None

    @property
    def query(self) -> Any:
        return self.request.query

    @property
    def resource(self) -> Resource:
        """The resource of the path; raises the 404 of an unknown one."""
        if self._resource is None:
            info = self.info
            self._resource = self.services.registry.lookup(info.group, info.version, info.resource)
            if self._resource is None:
                raise errors.generic(404)
        return self._resource

    def step(self, done: str) -> None:
        self.steps.append((time.perf_counter(), done))

    def begun(self, code: int) -> None:
        """A streamed answer has begun."""
        if self.on_begun is not None:
            self.on_begun(code)

    def warn(self, text: str) -> None:
        self.warnings[text] = None

    def annotate(self, key: str, value: str) -> None:
        """For the audit log. The first value of a key stays."""
        self.annotations.setdefault(key, value)
