"""Rules for Services."""

from __future__ import annotations

import ipaddress
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
from apiserver.validation.common import one_of
from apiserver.validation.nodes import check_cidr
from apiserver.validation.objectmeta import validate_labels

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_MULTICAST: Final = ipaddress.ip_network("224.0.0.0/24")


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
    return found + _addresses(spec, kind or "") + _traffic(spec, kind or "")


def _addresses(spec: Object, kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    for at, address in enumerate(spec.get("clusterIPs") or ()):
        if address not in ("", "None"):
            where = _SPEC.child("clusterIPs").index(at)
            found += [invalid(where, address, text) for text in names.check_ip(address)]
    for at, address in enumerate(spec.get("externalIPs") or ()):
        found += _external_ip(address, _SPEC.child("externalIPs").index(at))
    path = _SPEC.child("LoadBalancerSourceRanges")  # spelled so by the original
    for at, value in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += [invalid(path.index(at), value, text) for text in check_cidr(value.strip())]
    if spec.get("loadBalancerSourceRanges") and kind != "LoadBalancer":
        text = "may only be used when `type` is 'LoadBalancer'"
        found.append(forbidden(path, text))
    return found


def _external_ip(address: str, path: Path) -> list[FieldError]:
    wrong = names.check_ip(address)
    if wrong:
        return [invalid(path, address, text) for text in wrong]
    parsed = ipaddress.ip_address(address)
    refusals = (
        (parsed.is_unspecified, f"may not be unspecified ({address})"),
        (parsed.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (parsed.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            parsed.version == 4 and parsed in _MULTICAST,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    )
    return [invalid(path, address, text) for applies, text in refusals if applies]


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
    if theirs[0] and mine[0] != theirs[0]:
        return [invalid(_SPEC.child("clusterIPs").index(0), mine, "may not change once set")]
    return []
