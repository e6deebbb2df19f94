"""What a cluster has before anybody creates anything, and this server's part in the ``kubernetes`` service.

The system namespaces come before readiness; everything else follows after it. Every step is create-if-absent,
so any number of servers may do it at the same time and again at every start. Each server renews a lease of
its own under ``/registry/masterleases/`` (as the original does); the endpoints of the ``kubernetes`` service are
the addresses of the leases that live.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from copy import deepcopy
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apiserver.api import codec, meta
from apiserver.api.errors import StatusError
from apiserver.http import bootstrap_policy, flow_bootstrap
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import create
from apiserver.http.rest.ownership import Ownership
from apiserver.http.scope import Object, Services
from apiserver.storage.cacher import NotYet
from apiserver.storage.interface import KeyExists, RevisionMismatch, StorageError

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

log = logging.getLogger(__name__)

_DATA: Final = Path(__file__).parent / "data" / "bootstrap_objects.json"
_LEASES: Final = "/registry/masterleases/"
_LEASE_SECONDS: Final = 15
_RENEW_SECONDS: Final = 5.0
_FLOW_SECONDS: Final = 60.0
_COMPACT_SECONDS: Final = 300.0
_ATTEMPTS: Final = 5
_SERVICE_PAUSE: Final = 0.5
_MANAGER: Final = "kube-apiserver"
_SYSTEM: Final = "kubernetes"


class Bootstrap:
    def __init__(self, services: Services) -> None:
        self._services = services
        self.finished = asyncio.Event()
        """Set when everything that a cluster has from the beginning is there."""

    async def namespaces(self) -> None:
        """Makes the four system namespaces. Raises StorageError."""
        await self._ensure_all("v1/namespaces", _objects()["v1/namespaces"])

    async def run(self) -> None:
        """The rest of the objects, then the leases for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._objects_in_turn())
            group.create_task(self._every(_RENEW_SECONDS, self._reconcile_endpoints))
            group.create_task(self._compactions())
            group.create_task(self._every(_FLOW_SECONDS, self._reconcile_flow_control))

    async def withdraw(self) -> None:
        """Takes this server out of the service's endpoints, so that nobody is sent to it any more."""
        if not self._publishable:
            return
        try:
            async with asyncio.timeout(1.0):
                stored, _ = await self._services.storage.get(self._lease_key)
                if stored is not None:
                    await self._services.storage.delete(stored.key, stored.revision)
                await self._publish()
        except (StorageError, StatusError, TimeoutError) as exc:
            log.info("could not withdraw from the kubernetes service: %s", exc)

    # ---- objects

    async def _objects_in_turn(self) -> None:
        documents = _objects()
        for kind in [kind for kind in documents if kind != "v1/namespaces"]:
            await self._repeat(kind, documents[kind])
        await self._ensure_service()
        await self._settle_service_port()
        await self._repeat("networking.k8s.io/v1/servicecidrs", [self._service_cidr()])
        if "RBAC" in self._services.config.authorization_mode:
            await self._reconcile_policy()
        self.finished.set()

    async def _reconcile_policy(self) -> None:
        while True:
            try:
                await bootstrap_policy.reconcile(self._services, self._ensure)
                return
            except (StorageError, NotYet) as exc:
                log.info("the default policy waits for the store: %s", exc)
                await asyncio.sleep(1.0)

    async def _reconcile_flow_control(self) -> None:
        for kind in (flow_bootstrap.SCHEMAS, flow_bootstrap.LEVELS):
            await self._ensure_all(kind, _objects()[kind])
        await flow_bootstrap.reconcile(self._services)

    async def _ensure_service(self) -> None:
        """Of servers that start together one gets the address and stores the service; the others see it then.

        An address whose taker died before it stored the service is given back.
        """
        for attempt in range(_ATTEMPTS + 1):
            try:
                if attempt == _ATTEMPTS:
                    await self._free_address()
                await self._repeat("v1/services", [self._service()])
                return
            except (StatusError, StorageError) as exc:
                refused = exc
                await asyncio.sleep(_SERVICE_PAUSE)
        log.warning("the kubernetes service was not made: %s", refused)

    async def _free_address(self) -> None:
        resource = self._services.registry.lookup("networking.k8s.io", "v1", "ipaddresses")
        assert resource is not None
        call, storage = Call(self._services, resource), self._services.storage
        stored, _ = await storage.get(call.key("", self._services.config.kubernetes_service_ip))
        parent = call.decode(stored)["spec"]["parentRef"] if stored is not None else {}
        if stored is not None and (parent.get("namespace"), parent.get("name")) == ("default", _SYSTEM):
            with contextlib.suppress(RevisionMismatch):
                await storage.delete(stored.key, stored.revision)

    async def _repeat(self, kind: str, objects: list[Object]) -> None:
        """Until the store takes it: at a cold start there may be no leader yet."""
        while True:
            try:
                await self._ensure_all(kind, objects)
                return
            except StorageError as exc:
                log.info("bootstrap of %s waits for the store: %s", kind, exc)
                await asyncio.sleep(1.0)

    async def _ensure_all(self, kind: str, objects: list[Object]) -> None:
        group_version, _, plural = kind.rpartition("/")
        group, _, version = group_version.rpartition("/")
        resource = self._services.registry.lookup(group, version, plural)
        if resource is None:
            return
        listed = await self._services.storage.list(resource.storage_prefix + "/")
        present = {stored.key for stored in listed.items}
        missing = [obj for obj in objects if resource.key(meta.namespace(obj), meta.name(obj)) not in present]
        call = Call(self._services, resource)
        await asyncio.gather(*(self._ensure(call, obj) for obj in missing))

    async def _ensure(self, call: Call, template: Object) -> None:
        obj = _stamped(deepcopy(template), meta.format_time(self._services.now()))
        obj["kind"], obj["apiVersion"] = call.resource.gvk.kind, call.resource.gvk.group_version
        status = deepcopy(obj.get("status"))
        call.resource.strategy.default(obj)
        obj = Ownership.of(call, _MANAGER).update(None, obj)
        try:
            if status and call.resource.gvk.kind not in ("Namespace", "Service"):
                await self._create_with_status(call, obj, status)
            else:
                await create(call, meta.namespace(obj), obj)
        except KeyExists:
            return
        except StatusError as exc:
            if exc.reason == "Invalid" and call.resource.gvk.kind == "Service":
                raise
            if exc.reason != "AlreadyExists":
                log.warning("bootstrap of %s %s: %s", obj["kind"], meta.name(obj), exc)

    async def _create_with_status(self, call: Call, obj: Object, status: Object) -> None:
        """Some system objects are born with a status, which an ordinary create would drop."""
        obj["metadata"]["creationTimestamp"] = meta.format_time(self._services.now())
        obj["metadata"]["uid"] = self._services.new_uid()
        call.resource.strategy.prepare_for_create(obj)
        obj["status"] = status
        key = call.key(meta.namespace(obj), meta.name(obj))
        await self._services.storage.create(key, call.encode(obj))

    def _service(self) -> Object:
        address = self._services.config.kubernetes_service_ip
        port = {
            "name": "https",
            "protocol": "TCP",
            "port": self._services.config.kubernetes_service_port,
            "targetPort": self._services.config.secure_port,
        }
        return {
            "metadata": {
                "name": _SYSTEM,
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "ports": [port],
                "clusterIP": address,
                "clusterIPs": [address],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
            },
        }

    def _service_cidr(self) -> Object:
        condition = {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": "<time>",
            "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
        }
        return {
            "metadata": {"name": _SYSTEM},
            "spec": {"cidrs": [self._services.config.service_cluster_ip_range]},
            "status": {"conditions": [condition]},
        }

    # ---- the kubernetes service

    @property
    def _publishable(self) -> bool:
        """Endpoints may not be loopback addresses unless the cluster is told that they may."""
        config = self._services.config
        return config.allow_loopback_endpoints or not ip_address(config.advertise_address).is_loopback

    @property
    def _lease_key(self) -> str:
        return _LEASES + self._services.config.advertise_address

    async def _every(self, seconds: float, step: Callable[[], Any]) -> None:
        while True:
            try:
                await step()
            except (StorageError, StatusError) as exc:
                log.info("%s: %s", step.__name__.strip("_"), exc)
            await asyncio.sleep(seconds)

    async def _reconcile_endpoints(self) -> None:
        if not self._publishable:
            return
        await self._renew()
        await self._publish()

    async def _renew(self) -> None:
        config, storage = self._services.config, self._services.storage
        record = {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {"generation": int(self._services.now().timestamp())},
            "subsets": [
                {"addresses": [{"ip": config.advertise_address}], "ports": [{"port": config.secure_port}]}
            ],
        }
        data = codec.encode(record)
        stored, _ = await storage.get(self._lease_key)
        try:
            if stored is None:
                await storage.create(self._lease_key, data, ttl=_LEASE_SECONDS)
            else:
                await storage.update(stored.key, data, stored.revision, ttl=_LEASE_SECONDS)
        except (KeyExists, RevisionMismatch):
            return  # another process with this address renewed it just now

    async def _addresses(self) -> list[tuple[str, int]]:
        """Live servers by their leases, this one's among them while it serves."""
        found = []
        oldest = self._services.now().timestamp() - _LEASE_SECONDS
        for stored in (await self._services.storage.list(_LEASES)).items:
            record = codec.decode(stored.value)
            if record["metadata"]["generation"] >= oldest:
                subset = record["subsets"][0]
                found.append((subset["addresses"][0]["ip"], subset["ports"][0]["port"]))
        return sorted(found)

    async def _publish(self) -> None:
        await self._write("", "endpoints", _endpoints)
        await self._write("discovery.k8s.io", "endpointslices", _endpoint_slice)

    async def _settle_service_port(self) -> None:
        """Clients in pods ask for the port that is told now, not when the cluster was made."""
        resource = self._services.registry.lookup("", "v1", "services")
        assert resource is not None
        call, ports = Call(self._services, resource), self._service()["spec"]["ports"]
        try:
            stored, _ = await self._services.storage.get(call.key("default", _SYSTEM))
            service = call.decode(stored) if stored is not None else None
            if stored is None or service is None or service["spec"].get("ports") == ports:
                return
            service["spec"]["ports"] = ports
            await self._services.storage.update(stored.key, call.encode(service), stored.revision)
        except StorageError as exc:
            log.info("the port of the kubernetes service stays as it is: %s", exc)

    async def _write(
        self, group: str, plural: str, made_of: Callable[[list[tuple[str, int]]], Object]
    ) -> None:
        """The leases are read after the object, and again for every attempt: whoever began meanwhile is among them, or
        has changed the object, so that no server writes another one away."""
        resource = self._services.registry.lookup(group, "v1", plural)
        assert resource is not None
        call, storage = Call(self._services, resource), self._services.storage
        key = call.key("default", _SYSTEM)
        for _ in range(_ATTEMPTS):
            stored, _revision = await storage.get(key)
            wanted = made_of(await self._addresses())
            if stored is None:
                await self._ensure(call, wanted)
                continue
            obj = call.decode(stored)
            if all(obj.get(name) == wanted.get(name) for name in ("subsets", "endpoints", "ports")):
                return
            obj.update({name: wanted[name] for name in ("subsets", "endpoints", "ports") if name in wanted})
            if not wanted.get("subsets"):
                obj.pop("subsets", None)
            try:
                await storage.update(key, call.encode(obj), stored.revision)
                return
            except RevisionMismatch:
                continue

    # ---- compaction

    async def _compactions(self) -> None:
        """Forgets what is older than one interval, as the original's compactor."""
        storage, previous = self._services.storage, 0
        while True:
            await asyncio.sleep(_COMPACT_SECONDS)
            try:
                if previous:
                    await storage.compact(previous)
                previous = await storage.current_revision()
            except StorageError as exc:
                log.info("compaction: %s", exc)


def objects(resource: Resource) -> list[Object]:
    """Those of one resource that every cluster has."""
    return _objects()[f"{resource.gvr.group}/{resource.gvr.version}/{resource.gvr.resource}"]


def _objects() -> dict[str, list[Object]]:
    documents: dict[str, list[Object]] = json.loads(_DATA.read_bytes())
    return documents


def _stamped(value: Any, now: str) -> Any:
    """The recorded placeholder of times replaced."""
    if isinstance(value, dict):
        return {key: _stamped(item, now) for key, item in value.items()}
    if isinstance(value, list):
        return [_stamped(item, now) for item in value]
    return now if value == "<time>" else value


def _by_port(addresses: list[tuple[str, int]]) -> dict[int, list[str]]:
    ports: dict[int, list[str]] = {}
    for address, port in addresses:
        ports.setdefault(port, []).append(address)
    return ports


def _endpoints(addresses: list[tuple[str, int]]) -> Object:
    subsets = [
        {
            "addresses": [{"ip": address} for address in found],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        for port, found in sorted(_by_port(addresses).items())
    ]
    metadata = {
        "name": _SYSTEM,
        "namespace": "default",
        "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
    }
    return {"metadata": metadata, **({"subsets": subsets} if subsets else {})}


def _endpoint_slice(addresses: list[tuple[str, int]]) -> Object:
    """One slice has one set of ports: that of the first server (all use the same outside of tests)."""
    port = addresses[0][1] if addresses else 0
    metadata = {
        "name": _SYSTEM,
        "namespace": "default",
        "labels": {"kubernetes.io/service-name": _SYSTEM},
    }
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}}
            for address, number in addresses
            if number == port
        ],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}] if addresses else [],
    }
