"""Rules for DeviceClasses, ResourceClaims and ResourceClaimTemplates (``pkg/apis/resource/validation``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from apiserver.api.field_errors import (
    FieldError,
    Path,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
    too_many,
)
from apiserver.validation.device_fields import (
    MAX_CONFIGS,
    binding_conditions,
    configuration,
    full_attribute_name,
    items,
    own_name,
    pool_name,
    raw_object,
    selectors,
    toleration,
    uid,
    unique_items,
)
from apiserver.validation.domains import driver, label, qualified, subdomain
from apiserver.validation.objectmeta import IMMUTABLE, validate_template_metadata
from apiserver.validation.scheduling import node_selector

Object = dict[str, Any]
Options = Mapping[str, Any]
Requests = Mapping[str, frozenset[str]]

_SPEC: Final = Path("spec")
_STATUS: Final = Path("status")
_MAX_REQUESTS: Final = 32
_MAX_ALTERNATIVES: Final = 8
_MAX_CONSTRAINTS: Final = 32
_MAX_RESULTS: Final = 32
_MAX_RESERVED: Final = 256
_MAX_CONDITIONS: Final = 8
_MAX_DATA: Final = 10 * 1024
_MODES: Final = ("All", "ExactCount")
_SOURCES: Final = ("FromClaim", "FromClass")
_ONE_KIND: Final = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST: Final = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)


def validate_class(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = selectors(spec.get("selectors") or (), _SPEC.child("selectors"))
    found += items(spec.get("config") or (), MAX_CONFIGS, configuration, _SPEC.child("config"))
    name = spec.get("extendedResourceName")
    if name is not None and not _is_extended(name):
        path = _SPEC.child("extendedResourceName")
        found.append(invalid(path, name, "must be a valid extended resource name"))
    return found


def _is_extended(name: str) -> bool:
    """``IsExtendedResourceName``: of a domain that is not Kubernetes' own, and usable in a quota."""
    if "/" not in name or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    return not qualified(f"requests.{name}", Path())


def validate_new_claim(obj: Object, options: Options) -> list[FieldError]:
    return _devices((obj.get("spec") or {}).get("devices") or {}, _SPEC.child("devices"))


def validate_new_claim_template(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = validate_template_metadata(spec.get("metadata") or {}, _SPEC.child("metadata"))
    return found + _devices((spec.get("spec") or {}).get("devices") or {}, _SPEC.child("spec", "devices"))


def validate_spec_unchanged(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = new.get("spec") or {}, old.get("spec") or {}
    return [] if mine == theirs else [invalid(_SPEC, go_struct(mine), IMMUTABLE)]


def _devices(devices: Object, path: Path) -> list[FieldError]:
    known = _request_names(devices)
    refer = partial(_reference, known=known)
    requests = devices.get("requests") or ()

    def constraint(value: Object, where: Path) -> list[FieldError]:
        names = value.get("requests") or ()
        return unique_items(names, _MAX_REQUESTS, refer, str, where.child("requests")) + _attribute(
            value, where
        )

    def config(value: Object, where: Path) -> list[FieldError]:
        names = value.get("requests") or ()
        found = unique_items(names, _MAX_REQUESTS, refer, str, where.child("requests"))
        return found + configuration(value, where)

    return [
        *unique_items(requests, _MAX_REQUESTS, _request, own_name, path.child("requests")),
        *items(devices.get("constraints") or (), _MAX_CONSTRAINTS, constraint, path.child("constraints")),
        *items(devices.get("config") or (), MAX_CONFIGS, config, path.child("config")),
    ]


def _request_names(devices: Object) -> Requests:
    """Names of requests with those of their alternatives."""
    return {
        own_name(request): frozenset(own_name(option) for option in request.get("firstAvailable") or ())
        for request in devices.get("requests") or ()
    }


def _reference(name: str, path: Path, known: Requests) -> list[FieldError]:
    request, *more = name.split("/")
    if len(more) > 1:
        return [invalid(path, name, _NO_REQUEST)]
    found = [error for part in (request, *more) for error in label(part, path)]
    if request not in known or (more and more[0] not in known[request]):
        found.append(invalid(path, name, _NO_REQUEST))
    return found


def _attribute(constraint: Object, path: Path) -> list[FieldError]:
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            return full_attribute_name(constraint[field], path.child(field))
    return [required(path.child("matchAttribute"))]


def _request(request: Object, path: Path) -> list[FieldError]:
    found = label(own_name(request), path.child("name"))
    exactly, options = request.get("exactly"), request.get("firstAvailable") or ()
    if exactly is not None and options:
        return [*found, invalid(path, None, f"{_ONE_KIND}, but multiple fields are set")]
    if exactly is not None:
        return found + _exact(exactly, path.child("exactly"))
    if not options:
        return [*found, required(path, _ONE_KIND)]
    return found + unique_items(
        options, _MAX_ALTERNATIVES, _alternative, own_name, path.child("firstAvailable")
    )


def _alternative(request: Object, path: Path) -> list[FieldError]:
    return label(own_name(request), path.child("name")) + _exact(request, path)


def _exact(request: Object, path: Path) -> list[FieldError]:
    name, mode, count = (
        request.get("deviceClassName") or "",
        request.get("allocationMode"),
        request.get("count") or 0,
    )
    where = path.child("deviceClassName")
    found = subdomain(name, where) if name else [required(where)]
    found += selectors(request.get("selectors") or (), path.child("selectors"))
    if mode not in _MODES:
        found.append(not_supported(path.child("allocationMode"), mode or "", _MODES))
    elif mode == "All" and count:
        found.append(
            invalid(path.child("count"), count, "must not be specified when allocationMode is 'All'")
        )
    elif mode == "ExactCount" and count <= 0:
        found.append(invalid(path.child("count"), count, "must be greater than zero"))
    for at, value in enumerate(request.get("tolerations") or ()):
        found += toleration(value, path.child("tolerations").index(at))
    return found


def validate_claim_status(new: Object, old: Object) -> list[FieldError]:
    """Called with whole objects: what may be written depends on the claim's requests and on its deletion."""
    status, before = new.get("status") or {}, old.get("status") or {}
    users, allocation = status.get("reservedFor") or (), status.get("allocation")
    path = _STATUS.child("reservedFor")
    found = unique_items(users, _MAX_RESERVED, _user, lambda user: user.get("uid") or "", path)
    check = partial(_device_status, allocated=_allocated(allocation or {}))
    found += unique_items(status.get("devices") or (), -1, check, _device_id, _STATUS.child("devices"))
    if users and allocation is None:
        found.append(forbidden(path, "may not be specified when `allocated` is not set"))
    elif new["metadata"].get("deletionTimestamp") and any(
        user not in (before.get("reservedFor") or ()) for user in users
    ):
        text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        found.append(forbidden(path, text))
    return found + _allocation(new, allocation, before.get("allocation"))


def _user(user: Object, path: Path) -> list[FieldError]:
    return [required(path.child(field)) for field in ("resource", "name", "uid") if not user.get(field)]


def _device_id(device: Object) -> str:
    """As the original prints it: driver/pool/device, and the share if there is one."""
    parts = [device.get(field) or "" for field in ("driver", "pool", "device")]
    return "/".join([*parts, device["shareID"]] if device.get("shareID") else parts)


def _allocated(allocation: Object) -> frozenset[str]:
    return frozenset(_device_id(result) for result in (allocation.get("devices") or {}).get("results") or ())


def _device_status(device: Object, path: Path, allocated: frozenset[str]) -> list[FieldError]:
    found = _device(device, path)
    if _device_id(device) not in allocated:
        found.append(invalid(path, _device_id(device), "must be an allocated device in the claim"))
    conditions = device.get("conditions") or ()
    if len(conditions) > _MAX_CONDITIONS:
        found.append(too_many(path.child("conditions"), len(conditions), _MAX_CONDITIONS))
    if device.get("data") is not None:
        found += raw_object(device["data"], path.child("data"), _MAX_DATA)
    return found


def _device(device: Object, path: Path) -> list[FieldError]:
    found = driver(device.get("driver") or "", path.child("driver"))
    found += pool_name(device.get("pool") or "", path.child("pool"))
    found += label(device.get("device") or "", path.child("device"))
    return found + (uid(device["shareID"], path.child("shareID")) if device.get("shareID") else [])


def _allocation(claim: Object, allocation: Object | None, before: Object | None) -> list[FieldError]:
    path = _STATUS.child("allocation")
    if allocation is None:
        return []
    if before is not None:
        return [] if allocation == before else [invalid(path, go_struct(allocation), IMMUTABLE)]
    refer = partial(_reference, known=_request_names((claim.get("spec") or {}).get("devices") or {}))
    devices, where = allocation.get("devices") or {}, path.child("devices")

    def result(value: Object, at: Path) -> list[FieldError]:
        found = refer(value.get("request") or "", at.child("request"))
        return found + _device(value, at) + binding_conditions(value, at)

    def config(value: Object, at: Path) -> list[FieldError]:
        found = _config_source(value.get("source") or "", at.child("source"))
        names = value.get("requests") or ()
        found += unique_items(names, _MAX_REQUESTS, refer, str, at.child("requests"))
        return found + configuration(value, at)

    found = items(devices.get("results") or (), _MAX_RESULTS, result, where.child("results"))
    found += items(devices.get("config") or (), 2 * MAX_CONFIGS, config, where.child("config"))
    if allocation.get("nodeSelector") is not None:
        found += node_selector(allocation["nodeSelector"], path.child("nodeSelector"))
    return found


def _config_source(source: str, path: Path) -> list[FieldError]:
    if not source:
        return [required(path)]
    return [] if source in _SOURCES else [not_supported(path, source, _SOURCES, ordered=True)]
