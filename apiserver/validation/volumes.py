"""Volumes of a pod and where containers mount them (``ValidateVolumes``, ``ValidateVolumeMounts``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from apiserver.api.quantity import ZERO, parse_quantity
from apiserver.validation.field_refs import VOLUMES, field_ref, resource_ref
from apiserver.validation.remote_volumes import nfs, pod_csi

Object = dict[str, Any]
_HOST_PATHS: Final = (
    *("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"),
)
_MODE: Final = "must be a number between 0 and 0777 (octal), both inclusive"


def validate_volumes(volumes: Any, path: Path) -> tuple[set[str], list[FieldError]]:
    """(names that may be mounted, errors)."""
    found: list[FieldError] = []
    good: set[str] = set()
    for at, volume in enumerate(volumes):
        where, name = path.index(at), volume.get("name") or ""
        errors = _source(volume, where)
        if not name:
            errors.append(required(where.child("name")))
        else:
            errors += [invalid(where.child("name"), name, text) for text in names.check_dns1123_label(name)]
        if name in good:
            errors.append(duplicate(where.child("name"), name))
        if not errors:
            good.add(name)
        found += errors
    return good, found


def _source(volume: Object, path: Path) -> list[FieldError]:
    given = [kind for kind in volume if kind != "name" and volume[kind] is not None]
    given.sort(key=_rank)
    if not given:
        return [required(path, "must specify a volume type")]
    text = "may not specify more than 1 volume type"
    found = [forbidden(path.child(kind), text) for kind in given[1:]]
    check = _SOURCES.get(given[0])
    return found + (check(volume[given[0]], path.child(given[0])) if check else [])


def _rank(kind: str) -> int:
    """Kinds that are only known by name come last, in their own order."""
    return _ORDER.get(kind, len(_ORDER))


def _empty_dir(source: Object, path: Path) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and parse_quantity(limit) < ZERO:
        return [forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
    return []


def _host_path(source: Object, path: Path) -> list[FieldError]:
    place, kind = source.get("path") or "", source.get("type") or ""
    if not place:
        return [required(path.child("path"))]
    found = no_backsteps(place, path.child("path"))
    if kind not in _HOST_PATHS:
        found.append(not_supported(path.child("type"), kind, _HOST_PATHS))
    return found


def no_backsteps(place: str, path: Path) -> list[FieldError]:
    if ".." in place and ".." in place.split("/"):
        return [invalid(path, place, "must not contain '..'")]
    return []


def local_path(place: str, path: Path) -> list[FieldError]:
    """``validateLocalNonReservedPath``: inside the volume, and none of the kubelet's own names."""
    found = [invalid(path, place, "must be a relative path")] if place.startswith("/") else []
    found += no_backsteps(place, path)
    if not found and place.startswith(".."):
        found.append(invalid(path, place, "must not start with '..'"))
    return found


def _mode(value: Any, path: Path) -> list[FieldError]:
    return [] if value is None or 0 <= value <= 0o777 else [invalid(path, value, _MODE)]


def _items(source: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, item in enumerate(source.get("items") or ()):
        where, place = path.child("items").index(at), item.get("path") or ""
        if not item.get("key"):
            found.append(required(where.child("key")))
        if not place:
            found.append(required(where.child("path")))
        found += local_path(place, where.child("path")) + _mode(item.get("mode"), where.child("mode"))
    return found


def _named(field: str) -> Callable[[Object, Path], list[FieldError]]:
    def check(source: Object, path: Path) -> list[FieldError]:
        found = [] if source.get(field) else [required(path.child(field))]
        return found + _mode(source.get("defaultMode"), path.child("defaultMode")) + _items(source, path)

    return check


def _claim(source: Object, path: Path) -> list[FieldError]:
    return [] if source.get("claimName") else [required(path.child("claimName"))]


def _downward(source: Object, path: Path) -> list[FieldError]:
    found = _mode(source.get("defaultMode"), path.child("defaultMode"))
    for item in source.get("items") or ():
        found += _downward_item(item, path)
    return found


def _downward_item(item: Object, path: Path) -> list[FieldError]:
    place, field, resource = item.get("path") or "", item.get("fieldRef"), item.get("resourceFieldRef")
    found = [] if place else [required(path.child("path"))]
    found += local_path(place, path.child("path"))
    if field is not None:
        found += field_ref(field, path.child("fieldRef"), VOLUMES)
        if resource is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            found.append(invalid(path, "resource", text))
    elif resource is not None:
        found += resource_ref(resource, path.child("resourceFieldRef"), in_volume=True)
    else:
        found.append(required(path.child("fieldRef"), "one of fieldRef and resourceFieldRef is required"))
    return found + _mode(item.get("mode"), path.child("mode"))


def _projected(source: Object, path: Path) -> list[FieldError]:
    found = _mode(source.get("defaultMode"), path.child("defaultMode"))
    for at, part in enumerate(source.get("sources") or ()):
        where = path.child("sources").index(at)
        given = [kind for kind in _PROJECTIONS if part.get(kind) is not None]
        found += [error for kind in given for error in _PROJECTIONS[kind](part[kind], where.child(kind))]
        text = "may not specify more than 1 volume type per source"
        found += [forbidden(where.child(kind), text) for kind in given[1:]]
    return found


def _token(source: Object, path: Path) -> list[FieldError]:
    seconds, where = source.get("expirationSeconds"), path.child("expirationSeconds")
    found: list[FieldError] = []
    if seconds is not None and seconds < 600:
        found.append(invalid(where, seconds, "may not specify a duration less than 10 minutes"))
    elif seconds is not None and seconds > 1 << 32:
        found.append(invalid(where, seconds, "may not specify a duration larger than 2^32 seconds"))
    place = source.get("path") or ""
    if not place:
        return [*found, required(path.child("path"))]
    return found + local_path(place, path.child("path"))


def _ephemeral(source: Object, path: Path) -> list[FieldError]:
    return [] if source.get("volumeClaimTemplate") else [required(path.child("volumeClaimTemplate"))]


_SOURCES: Final[Mapping[str, Callable[[Object, Path], list[FieldError]]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _named("secretName"),
    "nfs": nfs,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "configMap": _named("name"),
    "projected": _projected,
    "csi": pod_csi,
    "ephemeral": _ephemeral,
}
_ORDER: Final = {kind: rank for rank, kind in enumerate(_SOURCES)}
_PROJECTIONS: Final[Mapping[str, Callable[[Object, Path], list[FieldError]]]] = {
    "secret": _named("name"),
    "downwardAPI": _downward,
    "configMap": _named("name"),
    "serviceAccountToken": _token,
}


def validate_mounts(mounts: Any, volumes: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, mount in enumerate(mounts):
        where, name, place = path.index(at), mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            found.append(required(where.child("name")))
        if name not in volumes:
            found.append(not_found(where.child("name"), name))
        if not place:
            found.append(required(where.child("mountPath")))
        if place in seen:
            found.append(invalid(where.child("mountPath"), place, "must be unique"))
        seen.add(place)
        found += _sub_path(mount, where)
    return found


def _sub_path(mount: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("subPath", "subPathExpr"):
        value = mount.get(field) or ""
        if value.startswith("/"):
            found.append(invalid(path.child(field), value, "must be a relative path"))
        found += no_backsteps(value, path.child(field))
    if mount.get("subPath") and mount.get("subPathExpr"):
        text = "subPathExpr and subPath are mutually exclusive"
        found.append(invalid(path.child("subPathExpr"), mount["subPathExpr"], text))
    return found
