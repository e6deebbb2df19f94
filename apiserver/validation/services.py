"""Rules for Services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.addresses import endpoint_ip, legacy_ip, parse_ip
from apiserver.validation.common import one_of
from apiserver.validation.domains import qualified, subdomain
from apiserver.validation.nodes import check_cidr
from apiserver.validation.objectmeta import validate_labels

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}
_FAMILY_POLICIES: Final = ("PreferDualStack", "RequireDualStack", "SingleStack")
_IP_MODES: Final = ("Proxy", "VIP")
_LONGEST_AFFINITY: Final = 86400
_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")


def validate_service(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found: list[FieldError] = []
    ports, kind, headless = spec.get("ports") or (), spec.get("type"), spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        found.append(required(_SPEC.child("ports")))
    if kind == "ExternalName":
        found += _external_name(spec)
    if kind in ("NodePort", "LoadBalancer") and headless:
        text = f"may not be set to 'None' for {kind} services"
        found.append(invalid(_SPEC.child("clusterIPs").index(0), "None", text))
    found += _ports(ports, kind or "")
    found += validate_labels(spec.get("selector") or {}, _SPEC.child("selector"))
    found += one_of(spec.get("sessionAffinity"), ("ClientIP", "None"), _SPEC.child("sessionAffinity"))
    found += one_of(kind, _TYPES, _SPEC.child("type"))
    found += _addresses(spec, kind or "") + _traffic(spec, kind or "") + _families(spec, kind or "")
    return found + _affinity(spec) + _balancer(spec, kind or "")


def _families(spec: Object, kind: str) -> list[FieldError]:
    """``ValidateServiceClusterIPsRelatedFields``, but for the addresses themselves."""
    if kind == "ExternalName":
        return []
    found: list[FieldError] = []
    families, policy, where = (
        spec.get("ipFamilies") or [],
        spec.get("ipFamilyPolicy"),
        _SPEC.child("ipFamilies"),
    )
    addresses, place = spec.get("clusterIPs") or [], _SPEC.child("clusterIPs")
    for at, family in enumerate(families):
        if family not in _FAMILIES:
            found.append(not_supported(where.index(at), family, tuple(_FAMILIES)))
        if family in families[:at]:
            found.append(duplicate(where.index(at), family))
    if policy is not None and policy not in _FAMILY_POLICIES:
        found.append(not_supported(_SPEC.child("ipFamilyPolicy"), policy, _FAMILY_POLICIES))
    if addresses[:1] == ["None"] and len(addresses) > 1:
        found.append(invalid(place, addresses, "'None' must be the first and only value"))
    if len(addresses) > 2:
        found.append(invalid(place, addresses, "may only hold up to 2 values"))
    for at, (address, family) in enumerate(zip(addresses, families, strict=False)):
        parsed = parse_ip(address)
        if parsed is not None and family in _FAMILIES and parsed.version != _FAMILIES[family]:
            text = f"expected an {family} value as indicated by `ipFamilies[{at}]`"
            found.append(invalid(place.index(at), address, text))
    return found


def _affinity(spec: Object) -> list[FieldError]:
    kind, config, path = (
        spec.get("sessionAffinity"),
        spec.get("sessionAffinityConfig"),
        _SPEC.child("sessionAffinityConfig"),
    )
    if kind == "None":
        text = f"must not be set when session affinity is {kind}"
        return [forbidden(path, text)] if config is not None else []
    if kind != "ClientIP":
        return []
    where = path.child("clientIP", "timeoutSeconds")
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    if seconds is None:
        return [required(path, f"when session affinity type is {kind}")]
    if 0 < seconds <= _LONGEST_AFFINITY:
        return []
    return [invalid(where, seconds, f"must be greater than 0 and less than {_LONGEST_AFFINITY}")]


def _balancer(spec: Object, kind: str) -> list[FieldError]:
    text, found = "may only be used when `type` is 'LoadBalancer'", []
    if kind != "LoadBalancer":
        found += [
            forbidden(_SPEC.child(field), text)
            for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass")
            if spec.get(field) is not None
        ]
    elif spec.get("loadBalancerClass") is not None:
        found += qualified(spec["loadBalancerClass"], _SPEC.child("loadBalancerClass"))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        path = _SPEC.child("trafficDistribution")
        found.append(not_supported(path, distribution, _DISTRIBUTIONS, ordered=True))
    return found


def _addresses(spec: Object, kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    for at, address in enumerate(spec.get("clusterIPs") or ()):
        if address not in ("", "None"):
            where = _SPEC.child("clusterIPs").index(at)
            found += [invalid(where, address, text) for text in names.check_ip(address)]
    for at, address in enumerate(spec.get("externalIPs") or ()):
        where = _SPEC.child("externalIPs").index(at)
        found += legacy_ip(address, where) or endpoint_ip(address, where)
    path = _SPEC.child("LoadBalancerSourceRanges")  # spelled so by the original
    for at, value in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += [invalid(path.index(at), value, text) for text in check_cidr(value.strip())]
    if spec.get("loadBalancerSourceRanges") and kind != "LoadBalancer":
        text = "may only be used when `type` is 'LoadBalancer'"
        found.append(forbidden(path, text))
    return found


def _traffic(spec: Object, kind: str) -> list[FieldError]:
    policy, external = spec.get("externalTrafficPolicy"), kind in ("NodePort", "LoadBalancer")
    found: list[FieldError] = []
    where = _SPEC.child("externalTrafficPolicy")
    if policy and not (external or spec.get("externalIPs")):
        found.append(invalid(where, policy, "may only be set for externally-accessible services"))
    elif policy and policy not in ("Cluster", "Local"):
        found.append(not_supported(where, policy, ("Cluster", "Local")))
    inner = spec.get("internalTrafficPolicy")
    if inner and inner not in ("Cluster", "Local"):
        found.append(not_supported(_SPEC.child("internalTrafficPolicy"), inner, ("Cluster", "Local")))
    port = spec.get("healthCheckNodePort")
    if port and not (kind == "LoadBalancer" and policy == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid(_SPEC.child("healthCheckNodePort"), port, text))
    return found


def _external_name(spec: Object) -> list[FieldError]:
    path, name = _SPEC.child("externalName"), spec.get("externalName") or ""
    found: list[FieldError] = []
    if spec.get("clusterIP"):
        found.append(forbidden(_SPEC.child("clusterIPs"), "may not be set for ExternalName services"))
    target = name.removesuffix(".")
    if not target:
        found.append(required(path))
    else:
        found += [invalid(path, name, text) for text in names.check_dns1123_subdomain(target)]
    return found


def _ports(ports: Any, kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    for at, port in enumerate(ports):
        path, name = _SPEC.child("ports").index(at), port.get("name") or ""
        if len(ports) > 1 and not name:
            found.append(required(path.child("name")))
        elif name:
            found += [invalid(path.child("name"), name, text) for text in names.check_dns1123_label(name)]
            if name in seen_names:
                found.append(duplicate(path.child("name"), name))
            seen_names.add(name)
        found += _port(port, path, kind)
        identity = (port.get("protocol") or "", port.get("port") or 0)
        if identity in seen_ports:
            found.append(duplicate(path, {"Protocol": identity[0], "Port": identity[1]}))
        seen_ports.add(identity)
    return found


def _port(port: Object, path: Path, kind: str) -> list[FieldError]:
    number, target, protocol = port.get("port") or 0, port.get("targetPort"), port.get("protocol") or ""
    found = [invalid(path.child("port"), number, text) for text in names.check_port_number(number)]
    if protocol not in _PROTOCOLS:
        found.append(not_supported(path.child("protocol"), protocol, _PROTOCOLS))
    if isinstance(target, int):
        found += [invalid(path.child("targetPort"), target, text) for text in names.check_port_number(target)]
    elif isinstance(target, str):
        found += [invalid(path.child("targetPort"), target, text) for text in names.check_port_name(target)]
    if kind in ("ClusterIP", "ExternalName") and port.get("nodePort"):
        text = f"may not be used when `type` is '{kind}'"
        found.append(forbidden(path.child("nodePort"), text))
    return found


def validate_service_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """A cluster IP, once given, stays while the service has one."""
    spec, before = new["spec"], old["spec"]
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return []
    mine, theirs = spec.get("clusterIPs") or [""], before.get("clusterIPs") or [""]
    found: list[FieldError] = []
    if theirs[0] and mine[0] != theirs[0]:
        found.append(invalid(_SPEC.child("clusterIPs").index(0), mine, "may not change once set"))
    named, known = spec.get("loadBalancerClass"), before.get("loadBalancerClass")
    if spec.get("type") == before.get("type") == "LoadBalancer" and named != known:
        found.append(invalid(_SPEC.child("loadBalancerClass"), named, "may not change once set"))
    return found


def validate_service_status(new: Object, old: Object) -> list[FieldError]:
    """Called with whole objects: only a balancer's service has addresses of a balancer."""
    path, found = Path("status").child("loadBalancer", "ingress"), []
    entries, before = (
        ((o.get("status") or {}).get("loadBalancer") or {}).get("ingress") or () for o in (new, old)
    )
    if entries and (new.get("spec") or {}).get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    known = [entry.get("ip") or "" for entry in before]
    for at, entry in enumerate(entries):
        address, host, mode = (entry.get(field) or "" for field in ("ip", "hostname", "ipMode"))
        where = path.index(at)
        found += legacy_ip(address, where.child("ip"), known) if address else []
        if address and not mode:
            found.append(required(where.child("ipMode"), "must be specified when `ip` is set"))
        elif mode and not address:
            found.append(forbidden(where.child("ipMode"), "may not be specified when `ip` is not set"))
        elif mode and mode not in _IP_MODES:
            found.append(not_supported(where.child("ipMode"), mode, _IP_MODES))
        found += subdomain(host, where.child("hostname")) if host else []
        if host and parse_ip(host) is not None:
            found.append(invalid(where.child("hostname"), host, "must be a DNS name, not an IP address"))
    return found
