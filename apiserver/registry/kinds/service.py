"""Services: defaults, cluster IPs and node ports.

Addresses and ports are reserved by creating an object that only one creator can create, so that any number
of API servers may allocate at once without a lock: an IPAddress for a cluster IP, as the original does, and
one small record per node port. A reservation whose service was not stored is given back by the callback of
begin_*.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from apiserver.api import errors, field_errors, meta
from apiserver.api.field_errors import Path
from apiserver.api.gvk import GroupKind
from apiserver.registry.strategy import Done, Object, StorageContext, Strategy, fill

_IP_PREFIX: Final = "/registry/ipaddresses/"
_PORT_PREFIX: Final = "/registry/ranges/servicenodeports/"
_WITH_PORTS: Final = ("NodePort", "LoadBalancer")
_TRIES: Final = 64


class ServiceStrategy(Strategy):
    allow_create_on_update = True
    has_status = True
    initial_status = {"loadBalancer": {}}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, sessionAffinity="None", type="ClusterIP")
        if spec["sessionAffinity"] == "ClientIP":
            client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            fill(client, timeoutSeconds=10800)
        for port in spec.get("ports") or ():
            fill(port, protocol="TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        external = spec["type"] in _WITH_PORTS or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
        if external:
            fill(spec, externalTrafficPolicy="Cluster")
        if spec["type"] != "ExternalName":
            fill(spec, internalTrafficPolicy="Cluster")
        if spec["type"] == "LoadBalancer":
            fill(spec, allocateLoadBalancerNodePorts=True)
            for entry in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
                if entry.get("ip"):
                    fill(entry, ipMode="VIP")

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        _drop_stale_fields(new["spec"], old["spec"])

    def select_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        fields = {"spec.clusterIP": spec.get("clusterIP") or "", "spec.type": spec.get("type") or ""}
        return {**super().select_fields(obj), **fields}

    async def begin_create(self, obj: Object, ctx: StorageContext) -> Done:
        reserved = _Reservations(ctx)
        try:
            await self._reserve(obj, reserved, {})
        except BaseException:
            await reserved.give_back()
            raise
        return reserved.finish([])

    async def begin_update(self, new: Object, old: Object, ctx: StorageContext) -> Done:
        _keep_allocations(new["spec"], old["spec"])
        reserved = _Reservations(ctx)
        held = _held(old)
        try:
            await self._reserve(new, reserved, held)
        except BaseException:
            await reserved.give_back()
            raise
        return reserved.finish([key for key in held if key not in _held(new)])

    async def after_delete(self, obj: Object, ctx: StorageContext) -> None:
        for key in _held(obj):
            await ctx.delete(key)

    async def _reserve(self, obj: Object, reserved: _Reservations, held: dict[str, None]) -> None:
        spec = obj["spec"]
        if spec["type"] != "ExternalName":
            await self._reserve_cluster_ip(obj, reserved, held)
        if spec["type"] in _WITH_PORTS:
            await self._reserve_node_ports(obj, reserved, held)

    async def _reserve_cluster_ip(self, obj: Object, reserved: _Reservations, held: dict[str, None]) -> None:
        spec, network = obj["spec"], self.options.service_network
        family = f"IPv{network.version}"
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if asked == "None" and not spec.get("selector"):
            # Nothing here knows the endpoints, so clients may expect either family.
            fill(spec, ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
        fill(spec, ipFamilyPolicy="SingleStack", ipFamilies=[family])
        if asked == "None":
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        if not asked:
            asked = await self._free_ip(obj, reserved)
        elif _IP_PREFIX + asked not in held:
            await self._asked_ip(obj, asked, reserved)
        spec["clusterIP"], spec["clusterIPs"] = asked, [asked]

    async def _free_ip(self, obj: Object, reserved: _Reservations) -> str:
        """Random tries in the upper part first, as the original leaves the lower one to static addresses."""
        network = self.options.service_network
        size = network.num_addresses
        lower = min(max(16, size // 16), 256) if size > 16 else 1
        for _ in range(_TRIES):
            address = str(network[self.options.rng.randrange(min(lower, size - 2), size - 1)])
            if await reserved.take(_IP_PREFIX + address, _address_object(address, obj)):
                return address
        for number in range(1, size - 1):
            address = str(network[number])
            if await reserved.take(_IP_PREFIX + address, _address_object(address, obj)):
                return address
        raise errors.internal("failed to allocate a serviceIP: range is full")

    async def _asked_ip(self, obj: Object, address: str, reserved: _Reservations) -> None:
        path, network = Path("spec").child("clusterIPs"), self.options.service_network
        try:
            inside = ipaddress.ip_address(address) in network
        except ValueError:
            return  # refused by validation, with its own words
        if not inside:
            text = f"failed to allocate IP {address}: the provided network does not match the current range"
            raise _refused(obj, field_errors.invalid(path, [address], text))
        if not await reserved.take(_IP_PREFIX + address, _address_object(address, obj)):
            text = f"failed to allocate IP {address}: provided IP is already allocated"
            raise _refused(obj, field_errors.invalid(path, [address], text))

    async def _reserve_node_ports(self, obj: Object, reserved: _Reservations, held: dict[str, None]) -> None:
        spec = obj["spec"]
        if spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True):
            taken: dict[int, set[str]] = {}
            for at, port in enumerate(spec.get("ports") or ()):
                await self._node_port(obj, port, Path("spec").child("ports").index(at), taken, reserved, held)
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            path = Path("spec").child("healthCheckNodePort")
            asked = spec.get("healthCheckNodePort") or 0
            spec["healthCheckNodePort"] = await self._port(obj, asked, path, reserved, held)

    async def _node_port(
        self,
        obj: Object,
        port: Object,
        path: Path,
        taken: dict[int, set[str]],
        reserved: _Reservations,
        held: dict[str, None],
    ) -> None:
        """One node port may serve several protocols of the same service."""
        asked, protocol = port.get("nodePort") or 0, port["protocol"]
        if asked in taken and protocol not in taken[asked]:
            taken[asked].add(protocol)
            return
        number = await self._port(obj, asked, path.child("nodePort"), reserved, held)
        port["nodePort"] = number
        taken.setdefault(number, set()).add(protocol)

    async def _port(
        self, obj: Object, asked: int, path: Path, reserved: _Reservations, held: dict[str, None]
    ) -> int:
        low, high = self.options.node_port_range
        if asked:
            if f"{_PORT_PREFIX}{asked}" in held:
                return asked
            if not low <= asked <= high:
                text = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
                raise _refused(obj, field_errors.invalid(path, asked, text))
            if not await reserved.take(f"{_PORT_PREFIX}{asked}", _port_object(asked, obj)):
                raise _refused(obj, field_errors.invalid(path, asked, "provided port is already allocated"))
            return asked
        for attempt in range(_TRIES + high - low + 1):
            number = self.options.rng.randint(low, high) if attempt < _TRIES else low + attempt - _TRIES
            if await reserved.take(f"{_PORT_PREFIX}{number}", _port_object(number, obj)):
                return number
        raise errors.internal("failed to allocate a nodePort: range is full")


class _Reservations:
    """What one request has taken so far."""

    def __init__(self, ctx: StorageContext) -> None:
        self._ctx = ctx
        self._keys: list[str] = []

    async def take(self, key: str, record: Object) -> bool:
        taken = await self._ctx.create(key, record)
        if taken:
            self._keys.append(key)
        return taken

    async def give_back(self) -> None:
        for key in self._keys:
            await self._ctx.delete(key)

    def finish(self, obsolete: list[str]) -> Done:
        async def done(stored: bool) -> None:
            for key in obsolete if stored else self._keys:
                await self._ctx.delete(key)

        return done


def _refused(obj: Object, error: field_errors.FieldError) -> errors.StatusError:
    return errors.invalid(GroupKind("", "Service"), meta.name(obj), [error])


def _held(obj: Object) -> dict[str, None]:
    """Keys of everything the service has reserved."""
    spec = obj.get("spec") or {}
    keys = [_IP_PREFIX + address for address in spec.get("clusterIPs") or () if address and address != "None"]
    ports = [port.get("nodePort") for port in spec.get("ports") or ()] + [spec.get("healthCheckNodePort")]
    keys.extend(f"{_PORT_PREFIX}{port}" for port in ports if port)
    return dict.fromkeys(keys)


def _keep_allocations(new: Object, old: Object) -> None:
    """Fields that clients leave out of an update keep what was allocated for them."""
    if new["type"] == "ExternalName" or old["type"] == "ExternalName":
        return
    if not new.get("clusterIP") and not new.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if old.get(field):
                new[field] = old[field]
    elif not new.get("clusterIPs"):
        new["clusterIPs"] = [new["clusterIP"]]
    elif not new.get("clusterIP"):
        new["clusterIP"] = new["clusterIPs"][0]
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if not new.get(field) and old.get(field):
            new[field] = old[field]
    if new["type"] in _WITH_PORTS and old["type"] in _WITH_PORTS:
        _keep_node_ports(new, old)


def _keep_node_ports(new: Object, old: Object) -> None:
    known = {(port["protocol"], port["port"]): port.get("nodePort") for port in old.get("ports") or ()}
    used = {port.get("nodePort") for port in new.get("ports") or ()}
    for port in new.get("ports") or ():
        number = known.get((port["protocol"], port.get("port")))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number
    local = new.get("externalTrafficPolicy") == "Local" and new["type"] == "LoadBalancer"
    if local and not new.get("healthCheckNodePort") and old.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = old["healthCheckNodePort"]


def _drop_stale_fields(new: Object, old: Object) -> None:
    """Fields that mean nothing for the new type go, if the client has only carried them over."""
    if new["type"] == "ExternalName" and old["type"] != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if new.get(field) == old.get(field):
                new.pop(field, None)
    if new["type"] not in _WITH_PORTS:
        known = {port.get("nodePort") for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            if port.get("nodePort") in known:
                port.pop("nodePort", None)
        if new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy") and not new.get(
            "externalIPs"
        ):
            new.pop("externalTrafficPolicy", None)
    if new["type"] != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass"):
            if new.get(field) == old.get(field):
                new.pop(field, None)
    if new.get("sessionAffinity") != "ClientIP":
        new.pop("sessionAffinityConfig", None)


def _address_object(address: str, service: Object) -> Object:
    family = f"IPv{ipaddress.ip_address(address).version}"
    labels = {
        "ipaddress.kubernetes.io/ip-family": family,
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    parent = {
        "group": "",
        "resource": "services",
        "namespace": meta.namespace(service),
        "name": meta.name(service),
    }
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": parent},
    }


def _port_object(port: int, service: Object) -> Object:
    data: dict[str, Any] = {"kind": "RangeAllocation", "apiVersion": "v1", "metadata": {"name": str(port)}}
    return {**data, "range": str(port), "data": meta.object_key(service)}
