"""The shell of kube-proxy: keeps the open sockets equal to what `rules.plan` asks for.

Fed by informers for Services and EndpointSlices; feeds `tcp` and `udp`. Level-triggered: a change only
marks the rules as out of date, and one pass computes them all again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from apiserver.api.meta import Object
from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.resources import ENDPOINT_SLICES, SERVICES
from components.proxy.rules import Backend, Frontend, plan
from components.proxy.sockets import ListenError, listen
from components.proxy.tcp import TcpForwarder
from components.proxy.udp import UdpForwarder

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0


class Forwarder(Protocol):
    """What moves the bytes of one frontend."""

    def retarget(self, backend: Backend) -> None: ...

    async def close(self) -> None: ...


async def open_forwarder(frontend: Frontend, backend: Backend) -> Forwarder:
    """A running forwarder for the frontend. Raises `ListenError`."""
    sock = listen(frontend)
    if frontend.protocol == "TCP":
        return TcpForwarder(sock, backend)
    return await UdpForwarder.open(sock, backend)


class Proxier:
    """Serves the cluster IPs and this node's node ports until cancelled."""

    def __init__(
        self, informers: InformerFactory, recorder: EventRecorder, *, node_name: str, node_ip: str
    ) -> None:
        self._services = informers.informer(SERVICES)
        self._slices = informers.informer(ENDPOINT_SLICES)
        self._recorder = recorder
        self._node_name = node_name
        self._node_ip = node_ip
        self._forwarders: dict[Frontend, tuple[Forwarder, Backend]] = {}
        self._refused: dict[Frontend, str] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the informers, which the factory's owner runs, until cancelled; then close the sockets."""
        for informer in (self._services, self._slices):
            informer.add_handler(
                on_add=lambda obj: self._changed.set(),
                on_update=lambda old, new: self._changed.set(),
                on_delete=lambda obj: self._changed.set(),
            )
        await self._services.wait_synced()
        await self._slices.wait_synced()
        try:
            while True:
                self._changed.clear()
                await self.sync()
                await self._wait_for_change()
        finally:
            await self._close_all()

    async def sync(self) -> None:
        """One pass: close what is not wanted, retarget what stays, open what is new."""
        wanted = plan(
            self._services.store.list(),
            self._slices.store.list(),
            node_name=self._node_name,
            node_ip=self._node_ip,
        )
        for frontend in self._forwarders.keys() - wanted.keys():
            forwarder, _ = self._forwarders.pop(frontend)
            await forwarder.close()
        self._refused = {f: why for f, why in self._refused.items() if f in wanted}
        for frontend, backend in wanted.items():
            await self._ensure(frontend, backend)

    async def _ensure(self, frontend: Frontend, backend: Backend) -> None:
        current = self._forwarders.get(frontend)
        if current is None:
            await self._open(frontend, backend)
        elif current[1] != backend:
            current[0].retarget(backend)
            self._forwarders[frontend] = (current[0], backend)

    async def _open(self, frontend: Frontend, backend: Backend) -> None:
        try:
            forwarder = await open_forwarder(frontend, backend)
        except ListenError as error:
            self._report(frontend, backend, error)
            return
        self._refused.pop(frontend, None)
        self._forwarders[frontend] = (forwarder, backend)
        log.info("serving %s:%d/%s for %s/%s", frontend.ip, frontend.port, frontend.protocol,
                 backend.namespace, backend.service)  # fmt: skip

    def _report(self, frontend: Frontend, backend: Backend, error: ListenError) -> None:
        """An Event on the Service, once per frontend and reason."""
        if self._refused.get(frontend) == error.reason:
            return
        self._refused[frontend] = error.reason
        log.warning("service %s/%s: %s", backend.namespace, backend.service, error)
        service = self._service(backend)
        if service is not None:
            self._recorder.event(service, "Warning", error.reason, str(error))

    def _service(self, backend: Backend) -> Object | None:
        return self._services.store.get(f"{backend.namespace}/{backend.service}")

    async def _wait_for_change(self) -> None:
        """Returns on a change, or after a while when a refused address may have become free."""
        if not self._refused:
            await self._changed.wait()
            return
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _close_all(self) -> None:
        forwarders = [forwarder for forwarder, _ in self._forwarders.values()]
        self._forwarders.clear()
        for forwarder in forwarders:
            await forwarder.close()
