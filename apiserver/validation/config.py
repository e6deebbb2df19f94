"""Rules for ConfigMaps, Endpoints, EndpointSlices, roles and storage classes."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required, too_long
from apiserver.validation.common import config_keys, immutable, one_of
from apiserver.validation.secrets import validate_secret_type

Object = dict[str, Any]
Options = Mapping[str, Any]

_LIMIT: Final = 1024 * 1024
_NO_CHANGE: Final = "field is immutable when `immutable` is set"
_RBAC: Final = "rbac.authorization.k8s.io"


def validate_config_map(obj: Object, options: Options) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    found = []
    for key in sorted(data):
        found += config_keys([key], Path("data"))
        if key in binary:
            text = "duplicate of key present in binaryData"
            found.append(invalid(Path("data").key(key), key, text))
    found += config_keys(binary, Path("binaryData"))
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(base64.b64decode(value)) for value in binary.values())
    if size > _LIMIT:
        found.append(too_long(Path("[]"), _LIMIT))  # as Go writes a path of one empty name
    return found


def validate_frozen(new: Object, old: Object, options: Options) -> list[FieldError]:
    """``immutable: true`` freezes the data and itself."""
    if not old.get("immutable"):
        return []
    found = []
    if not new.get("immutable"):
        found.append(forbidden(Path("immutable"), _NO_CHANGE))
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            found.append(forbidden(Path(field), _NO_CHANGE))
    return found


def validate_secret_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return validate_secret_type(new, old) + validate_frozen(new, old, options)


def _endpoint_ip(text: str, path: Path, options: Options) -> list[FieldError]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return [invalid(path, text, names.check_ip(text)[0])]
    refusals = [
        (address.is_unspecified, f"may not be unspecified ({address})"),
        (
            address.is_loopback and not options.get("allow_loopback_endpoints"),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (address.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (address.is_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ]
    return [invalid(path, text, reason) for applies, reason in refusals if applies]


def validate_endpoints(obj: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    for at, subset in enumerate(obj.get("subsets") or ()):
        path = Path("subsets").index(at)
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or ()):
                where = path.child(field).index(number).child("ip")
                found += _endpoint_ip(address.get("ip") or "", where, options)
        several = len(subset.get("ports") or ()) > 1
        for number, port in enumerate(subset.get("ports") or ()):
            found += _port(port, path.child("ports").index(number), name_required=several)
    return found


def _port(port: Object, path: Path, *, name_required: bool) -> list[FieldError]:
    found: list[FieldError] = []
    name, number = port.get("name") or "", port.get("port") or 0
    if name_required and not name:
        found.append(required(path.child("name")))
    elif name:
        found += [invalid(path.child("name"), name, text) for text in names.check_dns1123_label(name)]
    found += [invalid(path.child("port"), number, text) for text in names.check_port_number(number)]
    protocols = ("TCP", "UDP", "SCTP")
    if port.get("protocol") not in protocols:
        found.append(not_supported(path.child("protocol"), port.get("protocol") or "", protocols))
    return found


def validate_endpoint_slice(obj: Object, options: Options) -> list[FieldError]:
    kind = obj.get("addressType") or ""
    found: list[FieldError] = []
    if not kind:
        found.append(required(Path("addressType")))
    elif kind not in ("IPv4", "IPv6", "FQDN"):
        found.append(not_supported(Path("addressType"), kind, ("FQDN", "IPv4", "IPv6")))
    for at, endpoint in enumerate(obj.get("endpoints") or ()):
        path = Path("endpoints").index(at).child("addresses")
        if not endpoint.get("addresses"):
            found.append(required(path, "must contain at least 1 address"))
        for number, address in enumerate(endpoint.get("addresses") or ()):
            if kind in ("IPv4", "IPv6"):
                found += _endpoint_ip(address, path.index(number), options)
    return found


def validate_endpoint_slice_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return immutable(new.get("addressType"), old.get("addressType"), Path("addressType"))


def validate_role(obj: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    for at, rule in enumerate(obj.get("rules") or ()):
        path = Path("rules").index(at)
        if not rule.get("verbs"):
            found.append(required(path.child("verbs"), "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            found.append(
                required(path.child("apiGroups"), "resource rules must supply at least one api group")
            )
        if not rule.get("resources"):
            found.append(
                required(path.child("resources"), "resource rules must supply at least one resource")
            )
    return found


def validate_binding(obj: Object, options: Options) -> list[FieldError]:
    reference, path = obj.get("roleRef") or {}, Path("roleRef")
    found: list[FieldError] = []
    if reference.get("apiGroup") != _RBAC:
        found.append(not_supported(path.child("apiGroup"), reference.get("apiGroup") or "", [_RBAC]))
    kinds = ("Role", "ClusterRole")
    if reference.get("kind") not in kinds:
        found.append(not_supported(path.child("kind"), reference.get("kind") or "", kinds))
    if not reference.get("name"):
        found.append(required(path.child("name")))
    return found


def validate_binding_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    if new.get("roleRef") == old.get("roleRef"):
        return []
    return [invalid(Path("roleRef"), new.get("roleRef"), "cannot change roleRef")]


def validate_storage_class(obj: Object, options: Options) -> list[FieldError]:
    found = [] if obj.get("provisioner") else [required(Path("provisioner"))]
    return found + one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), Path("reclaimPolicy"))
