"""Rules for IPAddresses and ServiceCIDRs (``pkg/apis/networking/validation``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, go_struct, invalid, required
from apiserver.validation.addresses import parse_cidr, strict_cidr, strict_ip
from apiserver.validation.common import immutable
from apiserver.validation.domains import needed_path_segment, path_segment, subdomain
from apiserver.validation.objectmeta import IMMUTABLE

Object = dict[str, Any]
Options = Mapping[str, Any]

_PARENT: Final = Path("spec").child("parentRef")
_CIDRS: Final = Path("spec").child("cidrs")


def check_address_name(name: str) -> list[str]:
    """The name of an IPAddress is the address."""
    return [error.detail for error in strict_ip(name, Path())]


def validate_address(obj: Object, options: Options) -> list[FieldError]:
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        return [required(_PARENT)]
    group, namespace = parent.get("group") or "", parent.get("namespace") or ""
    found = subdomain(group, _PARENT.child("group")) if group else []
    for field in ("resource", "name"):
        found += needed_path_segment(parent.get(field) or "", _PARENT.child(field))
    return found + (path_segment(namespace, _PARENT.child("namespace")) if namespace else [])


def validate_address_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = ((obj.get("spec") or {}).get("parentRef") for obj in (new, old))
    return [] if mine == theirs else [invalid(_PARENT, go_struct(mine), IMMUTABLE)]


def validate_service_cidr(obj: Object, options: Options) -> list[FieldError]:
    return _cidrs(obj.get("spec") or {})


def _cidrs(spec: Object) -> list[FieldError]:
    cidrs = spec.get("cidrs") or []
    if not cidrs:
        return [required(_CIDRS, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(_CIDRS, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    found = [error for at, cidr in enumerate(cidrs) for error in strict_cidr(cidr, _CIDRS.index(at))]
    networks = [parse_cidr(cidr) for cidr in cidrs]
    if len(networks) == 2 and networks[0] and networks[1] and networks[0].version == networks[1].version:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.append(invalid(_CIDRS, cidrs, text))
    return found


def validate_service_cidr_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """Blocks stay; a second one may join the first, to serve both families."""
    mine, theirs = ((obj.get("spec") or {}).get("cidrs") or [] for obj in (new, old))
    if len(mine) == len(theirs) or (len(theirs) == 1 and len(mine) == 2):
        pairs = enumerate(zip(mine, theirs, strict=False))
        found = [e for at, (now, was) in pairs for e in immutable(now, was, _CIDRS.index(at))]
        return found + (_cidrs(new.get("spec") or {}) if len(mine) != len(theirs) else [])
    return [invalid(_CIDRS, mine, IMMUTABLE)]
