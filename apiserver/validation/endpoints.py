"""Rules for Endpoints and EndpointSlices (``ValidateEndpoints``, ``pkg/apis/discovery/validation``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from apiserver.validation.addresses import endpoint_ip, legacy_ip, parse_ip
from apiserver.validation.common import immutable
from apiserver.validation.domains import fully_qualified_domain, label, qualified, subdomain
from apiserver.validation.objectmeta import validate_labels

Object = dict[str, Any]
Options = Mapping[str, Any]

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}
_ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_MAX_ENDPOINTS: Final = 1000
_MAX_ADDRESSES: Final = 100
_MAX_PORTS: Final = 20000
_MAX_TOPOLOGY: Final = 16
_MAX_HINTS: Final = 8


def validate_new_endpoints(obj: Object, options: Options) -> list[FieldError]:
    return _subsets(obj, options, ())


def validate_endpoints_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return _subsets(new, options, {address.get("ip") or "" for address in _addresses(old)})


def _addresses(obj: Object) -> list[Object]:
    fields = ("addresses", "notReadyAddresses")
    return [a for subset in obj.get("subsets") or () for f in fields for a in subset.get(f) or ()]


def _subsets(obj: Object, options: Options, known: Collection[str]) -> list[FieldError]:
    found: list[FieldError] = []
    for at, subset in enumerate(obj.get("subsets") or ()):
        path, ports = Path("subsets").index(at), subset.get("ports") or ()
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or ()):
                found += _address(address, path.child(field).index(number), options, known)
        for number, port in enumerate(ports):
            found += _port(port, path.child("ports").index(number), name_required=len(ports) > 1)
    return found


def _address(address: Object, path: Path, options: Options, known: Collection[str]) -> list[FieldError]:
    text, host, node = (address.get(field) or "" for field in ("ip", "hostname", "nodeName"))
    found = legacy_ip(text, path.child("ip"), known)
    if host:
        found += label(host, path.child("hostname"))
    if address.get("nodeName") is not None:
        found += subdomain(node, path.child("nodeName"))
    if not found:
        found += endpoint_ip(text, path.child("ip"), allow_loopback=_allows_loopback(options))
    return found


def _allows_loopback(options: Options) -> bool:
    return bool(options.get("allow_loopback_endpoints"))


def _port(port: Object, path: Path, *, name_required: bool) -> list[FieldError]:
    name, number, protocol = port.get("name") or "", port.get("port") or 0, port.get("protocol") or ""
    found: list[FieldError] = []
    if name_required and not name:
        found.append(required(path.child("name")))
    elif name:
        found += label(name, path.child("name"))
    found += [invalid(path.child("port"), number, text) for text in names.check_port_number(number)]
    if not protocol:
        found.append(required(path.child("protocol")))
    elif protocol not in _PROTOCOLS:
        found.append(not_supported(path.child("protocol"), protocol, _PROTOCOLS))
    if port.get("appProtocol") is not None:
        found += qualified(port["appProtocol"], path.child("appProtocol"))
    return found


def validate_new_slice(obj: Object, options: Options) -> list[FieldError]:
    return _slice(obj, options, ())


def validate_slice_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    known = {text for endpoint in old.get("endpoints") or () for text in endpoint.get("addresses") or ()}
    found = _slice(new, options, known)
    return found + immutable(new.get("addressType"), old.get("addressType"), Path("addressType"))


def _slice(obj: Object, options: Options, known: Collection[str]) -> list[FieldError]:
    kind, endpoints, path = obj.get("addressType") or "", obj.get("endpoints") or (), Path("endpoints")
    found: list[FieldError] = []
    if not kind:
        found.append(required(Path("addressType")))
    elif kind not in _ADDRESS_TYPES:
        found.append(not_supported(Path("addressType"), kind, _ADDRESS_TYPES))
    if len(endpoints) > _MAX_ENDPOINTS:
        found.append(too_many(path, len(endpoints), _MAX_ENDPOINTS))
    else:
        for at, endpoint in enumerate(endpoints):
            found += _endpoint(endpoint, kind, path.index(at), options, known)
    return found + _slice_ports(obj.get("ports") or (), Path("ports"))


def _endpoint(
    endpoint: Object, kind: str, path: Path, options: Options, known: Collection[str]
) -> list[FieldError]:
    addresses, where = endpoint.get("addresses") or (), path.child("addresses")
    found: list[FieldError] = []
    if not addresses:
        found.append(required(where, "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        found.append(too_many(where, len(addresses), _MAX_ADDRESSES))
    for at, text in enumerate(addresses):
        if kind in _FAMILIES:
            found += _of_family(text, _FAMILIES[kind], where, at, options, known)
        elif kind == "FQDN":
            found += fully_qualified_domain(text, where.index(at))
    if endpoint.get("nodeName") is not None:
        found += subdomain(endpoint["nodeName"], path.child("nodeName"))
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > _MAX_TOPOLOGY:
        found.append(too_many(path.child("deprecatedTopology"), len(topology), _MAX_TOPOLOGY))
    found += validate_labels(topology, path.child("deprecatedTopology"))
    if endpoint.get("hostname") is not None:
        found += label(endpoint["hostname"], path.child("hostname"))
    return found + _hints(endpoint.get("hints") or {}, path.child("hints"))


def _of_family(
    text: str, version: int, path: Path, at: int, options: Options, known: Collection[str]
) -> list[FieldError]:
    found = legacy_ip(text, path.index(at), known)
    if found:
        return found
    address = parse_ip(text)
    if address is None or address.version != version:
        # The path of the list, as there.
        found.append(invalid(path, text, f"must be an IPv{version} address"))
    return found + endpoint_ip(text, path.index(at), allow_loopback=_allows_loopback(options))


def _hints(hints: Object, path: Path) -> list[FieldError]:
    return [
        *_targets(hints.get("forZones") or (), path.child("forZones"), names.check_label_value),
        *_targets(hints.get("forNodes") or (), path.child("forNodes"), names.check_dns1123_subdomain),
    ]


def _targets(targets: Any, path: Path, check: Callable[[str], list[str]]) -> list[FieldError]:
    if len(targets) > _MAX_HINTS:
        return [too_many(path, len(targets), _MAX_HINTS)]
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, target in enumerate(targets):
        name, where = target.get("name") or "", path.index(at).child("name")
        if name in seen:
            found.append(duplicate(where, name))
        seen.add(name)
        found += [invalid(where, name, text) for text in check(name)]
    return found


def _slice_ports(ports: Any, path: Path) -> list[FieldError]:
    if len(ports) > _MAX_PORTS:
        return [too_many(path, len(ports), _MAX_PORTS)]
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, port in enumerate(ports):
        name, protocol, where = port.get("name") or "", port.get("protocol"), path.index(at)
        if name:
            found += label(name, where.child("name"))
        if name in seen:
            found.append(duplicate(where.child("name"), name))
        seen.add(name)
        if protocol is None:
            found.append(required(where.child("protocol")))
        elif protocol not in _PROTOCOLS:
            found.append(not_supported(where.child("protocol"), protocol, _PROTOCOLS))
        if port.get("appProtocol") is not None:
            found += qualified(port["appProtocol"], where.child("appProtocol"))
    return found
