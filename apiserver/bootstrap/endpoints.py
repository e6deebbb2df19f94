"""Keeps the endpoints of the `kubernetes` Service equal to the API servers that are alive.

As the original's lease reconciler (`pkg/controlplane/reconcilers/lease.go`): each server renews a key of
its own under `/registry/masterleases/` with a time to live; the addresses under that prefix are the living
servers. One that stops properly takes its key away; that of a killed one vanishes after `LEASE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from apiserver.api import codec
from apiserver.bootstrap.store import write
from apiserver.http.scope import Services
from apiserver.storage.interface import KeyExists, RevisionMismatch, StorageError

log = logging.getLogger(__name__)

Object = dict[str, Any]

PREFIX = "/registry/masterleases/"
LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
STOP_SECONDS = 2.0


class EndpointReconciler:
    """`address` and `port` are where this server is reached by others."""

    def __init__(self, services: Services, address: str, port: int) -> None:
        self._services = services
        self._address = address
        self._port = port
        self._key = PREFIX + address

    async def run(self) -> None:
        """Renew and reconcile until cancelled, then withdraw."""
        try:
            while True:
                await self._once()
                await asyncio.sleep(RENEW_SECONDS)
        finally:
            with contextlib.suppress(TimeoutError, StorageError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._withdraw()

    async def reconcile(self) -> None:
        """One round. Raises `StorageError`."""
        await self._renew()
        await self._publish(await self._living())

    async def _once(self) -> None:
        try:
            await self.reconcile()
        except StorageError as error:  # no quorum: the next round tries again
            log.warning("cannot renew the address of this API server: %s", error)

    async def _renew(self) -> None:
        storage, value = self._services.storage, codec.encode(self._record())
        stored, _ = await storage.get(self._key)
        try:
            if stored is None:
                await storage.create(self._key, value, ttl=LEASE_SECONDS)
            else:
                await storage.update(self._key, value, stored.revision, ttl=LEASE_SECONDS)
        except (KeyExists, RevisionMismatch) as error:
            log.warning("%s is renewed by another API server, too: %s", self._key, error)

    def _record(self) -> Object:
        """The original keeps an Endpoints object under the key."""
        return {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {},
            "subsets": [{"addresses": [{"ip": self._address}]}],
        }

    async def _living(self) -> list[str]:
        listed = await self._services.storage.list(PREFIX)
        return sorted(stored.key.removeprefix(PREFIX) for stored in listed.items)

    async def _publish(self, addresses: list[str]) -> None:
        port = {"name": "https", "port": self._port, "protocol": "TCP"}
        subsets = [{"addresses": [{"ip": ip} for ip in addresses], "ports": [port]}]
        endpoints = [{"addresses": [ip], "conditions": {"ready": True}} for ip in addresses]
        mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        owned = {"kubernetes.io/service-name": "kubernetes"}
        await self._write("v1/endpoints", mirrored, {"subsets": subsets})
        slice_fields = {"addressType": "IPv4", "endpoints": endpoints, "ports": [port]}
        await self._write("discovery.k8s.io/v1/endpointslices", owned, slice_fields)

    async def _write(self, path: str, labels: dict[str, str], fields: Object) -> None:
        def change(stored: Object | None) -> Object | None:
            if stored is None:
                metadata = {"name": "kubernetes", "namespace": "default", "labels": labels}
                return {"metadata": metadata, **fields}
            new = {**stored, **fields}
            return None if new == stored else new

        await write(self._services, path, "default", "kubernetes", change)

    async def _withdraw(self) -> None:
        stored, _ = await self._services.storage.get(self._key)
        if stored is not None:
            with contextlib.suppress(RevisionMismatch):
                await self._services.storage.delete(self._key, stored.revision)
        await self._publish([ip for ip in await self._living() if ip != self._address])
