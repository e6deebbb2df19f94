"""Rules for Nodes (``ValidateNode``). Pure."""

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
    go_struct,
    invalid,
    not_supported,
    required,
)

Object = dict[str, Any]
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
CIDR: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def check_cidr(value: str) -> list[str]:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return [CIDR]
    return [] if "/" in value else [CIDR]


def validate_node(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = _taints(spec.get("taints") or (), Path("metadata").child("taints"))  # the original's own path
    return found + _pod_cidrs(spec, Path("spec").child("podCIDRs"))


def _taints(taints: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for at, taint in enumerate(taints):
        where, key, value = path.index(at), taint.get("key") or "", taint.get("value") or ""
        found += [invalid(where.child("key"), key, text) for text in names.check_qualified_name(key)]
        found += [invalid(where.child("value"), value, text) for text in names.check_label_value(value)]
        effect = taint.get("effect") or ""
        if not effect:
            found.append(required(where.child("effect")))
        elif effect not in _EFFECTS:
            found.append(not_supported(where.child("effect"), effect, _EFFECTS, ordered=True))
        if (key, effect) in seen:
            text = "taints must be unique by key and effect pair"
            found.append(duplicate(where, go_struct(taint), text))
        seen.add((key, effect))
    return found


def _pod_cidrs(spec: Object, path: Path) -> list[FieldError]:
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    found = [
        invalid(path.index(at), cidr, text) for at, cidr in enumerate(cidrs) for text in check_cidr(cidr)
    ]
    if not found and len(cidrs) > 1:
        versions = [ipaddress.ip_network(cidr, strict=False).version for cidr in cidrs]
        if len(cidrs) > 2 or versions[0] == versions[1]:
            text = "may specify no more than one CIDR for each IP family"
            found.append(invalid(path, cidrs, text))
    return found


def validate_node_update(new: Object, old: Object, options: Mapping[str, Any]) -> list[FieldError]:
    """Addresses for pods and the provider's id are set once."""
    found: list[FieldError] = []
    mine, theirs = new.get("spec") or {}, old.get("spec") or {}
    if theirs.get("podCIDRs") and mine.get("podCIDRs") != theirs["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        found.append(forbidden(Path("spec").child("podCIDRs"), text))
    if theirs.get("providerID") and mine.get("providerID") != theirs["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        found.append(forbidden(Path("spec").child("providerID"), text))
    return found
