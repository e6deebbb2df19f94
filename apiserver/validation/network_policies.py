"""Rules for NetworkPolicies (``pkg/apis/networking/validation``). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from apiserver.validation.addresses import legacy_cidr, parse_cidr
from apiserver.validation.common import label_selector
from apiserver.validation.domains import complaints

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_TYPES: Final = ("Ingress", "Egress")
_DIRECTIONS: Final = (("ingress", "from"), ("egress", "to"))


def validate_new_policy(obj: Object, options: Options) -> list[FieldError]:
    return _policy(obj.get("spec") or {}, ())


def validate_policy_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """A CIDR that the policy had anywhere may stay, however it is written."""
    return _policy(new.get("spec") or {}, set(_cidrs(old.get("spec") or {})))


def _cidrs(spec: Object) -> Iterator[str]:
    for direction, side in _DIRECTIONS:
        for rule in spec.get(direction) or ():
            for peer in rule.get(side) or ():
                block = peer.get("ipBlock") or {}
                yield block.get("cidr") or ""
                yield from block.get("except") or ()


def _policy(spec: Object, known: Collection[str]) -> list[FieldError]:
    found = label_selector(spec.get("podSelector"), _SPEC.child("podSelector"))
    for direction, side in _DIRECTIONS:
        for at, rule in enumerate(spec.get(direction) or ()):
            where = _SPEC.child(direction).index(at)
            for number, port in enumerate(rule.get("ports") or ()):
                found += _port(port, where.child("ports").index(number))
            for number, peer in enumerate(rule.get(side) or ()):
                found += _peer(peer, where.child(side).index(number), known)
    types, where = spec.get("policyTypes") or (), _SPEC.child("policyTypes")
    if len(types) > len(_TYPES):
        return [*found, invalid(where, types, "may not specify more than two policyTypes")]
    return found + [
        not_supported(where.index(at), kind, _TYPES, ordered=True)
        for at, kind in enumerate(types)
        if kind not in _TYPES
    ]


def _port(port: Object, path: Path) -> list[FieldError]:
    protocol, value, end = port.get("protocol"), port.get("port"), port.get("endPort")
    last, found = path.child("endPort"), []
    if protocol is not None and protocol not in _PROTOCOLS:
        found.append(not_supported(path.child("protocol"), protocol, _PROTOCOLS, ordered=True))
    if isinstance(value, int):
        found += [invalid(path.child("port"), value, text) for text in names.check_port_number(value)]
        if end is not None:
            if end < value:
                found.append(invalid(last, value, "must be greater than or equal to `port`"))
            found += [invalid(last, end, text) for text in names.check_port_number(end)]
    elif value is None:
        if end is not None:
            found.append(invalid(last, end, "may not be specified when `port` is not specified"))
    else:
        if end is not None:
            found.append(invalid(last, end, "may not be specified when `port` is non-numeric"))
        found += complaints(names.check_port_name(value), value, path.child("port"))
    return found


def _peer(peer: Object, path: Path, known: Collection[str]) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("podSelector", "namespaceSelector"):
        found += label_selector(peer.get(field), path.child(field))
    block = peer.get("ipBlock")
    if block is not None:
        found += _block(block, path.child("ipBlock"), known)
    others = sum(peer.get(field) is not None for field in ("podSelector", "namespaceSelector"))
    if not others and block is None:
        found.append(required(path, "must specify a peer"))
    elif others and block is not None:
        found.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return found


def _block(block: Object, path: Path, known: Collection[str]) -> list[FieldError]:
    cidr = block.get("cidr") or ""
    if not cidr:
        return [required(path.child("cidr"))]
    network, found = parse_cidr(cidr), legacy_cidr(cidr, path.child("cidr"), known)
    if network is None:
        return found
    for at, text in enumerate(block.get("except") or ()):
        where, part = path.child("except").index(at), parse_cidr(text)
        found += legacy_cidr(text, where, known)
        if part is not None and not _is_strict_subset(part, network):
            found.append(invalid(where, text, "must be a strict subset of `cidr`"))
    return found


def _is_strict_subset(part: Any, whole: Any) -> bool:
    return bool(part.version == whole.version and part != whole and part.subnet_of(whole))
