"""What a request is about, read from its method, path and query alone.

Pure; the first step of the chain. Authorization, limits, metrics and routing all use its answer. Follows
``apiserver/pkg/endpoints/request/requestinfo.go``, including its odd corners: sub-paths of ``proxy``, ``watch``
in the path, ``namespaces/x`` as an object of its own namespace, the name in a field selector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from apiserver.api.fields import FieldSelectorError, parse_field_selector

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_PREFIXES: Final = frozenset({"api", "apis"})
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})


@dataclass(slots=True)
class RequestInfo:
    """For a non-resource request only ``path`` and ``verb`` (the method in lower case) are set."""

    path: str
    verb: str
    is_resource: bool = False
    prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list)
    is_watch: bool = False
    legacy_watch: bool = False

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def parse(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """``path`` is the raw path, without the query."""
    info = RequestInfo(path, method.lower())
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if len(parts) < 3 or parts[0] not in _PREFIXES:
        return info
    rest = _read_group_version(info, parts)
    if rest is None:
        return info
    info.is_resource = True
    info.verb = _VERBS.get(method, "")
    if rest[0] == "watch" and len(rest) > 1:
        info.legacy_watch = True
        info.verb = "watch"
        rest = rest[1:]
    _read_scope(info, rest)
    if info.verb in ("get", "watch") and not info.name:
        _read_collection_verb(info, query)
    elif info.legacy_watch:
        info.is_watch = True
    if not info.name and info.verb == "delete":
        info.verb = "deletecollection"
    return info


def _read_group_version(info: RequestInfo, parts: list[str]) -> list[str] | None:
    info.prefix = parts[0]
    if parts[0] == "api":
        info.version = parts[1]
        return parts[2:]
    if len(parts) < 4:
        return None
    info.group, info.version = parts[1], parts[2]
    return parts[3:]


def _read_scope(info: RequestInfo, parts: list[str]) -> None:
    if parts[0] == "namespaces" and len(parts) > 1:
        info.namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    info.parts = parts
    info.resource = parts[0]
    info.name = parts[1] if len(parts) > 1 else ""
    info.subresource = parts[2] if len(parts) > 2 else ""


def _read_collection_verb(info: RequestInfo, query: Mapping[str, str]) -> None:
    if info.verb == "get":
        info.verb = "watch" if boolean(query.get("watch")) else "list"
        info.name = _selected_name(query.get("fieldSelector") or "")
    info.is_watch = info.verb == "watch"


def _selected_name(selector: str) -> str:
    """A list or watch of one object by its name is authorized as of that name."""
    try:
        name = parse_field_selector(selector).exact("metadata.name") or ""
    except FieldSelectorError:
        return ""
    return "" if name in (".", "..") or "/" in name or "%" in name else name


def selected_fields(selector: str | None) -> tuple[tuple[str, str], ...]:
    """The (field, value) pairs that a field selector demands; none of one that cannot be read."""
    if not selector:
        return ()
    try:
        requirements = parse_field_selector(selector).requirements
    except FieldSelectorError:
        return ()
    return tuple((item.field, item.value) for item in requirements if item.operator == "=")


def boolean(value: str | None) -> bool:
    """A parameter as Go's conversion of queries reads a bool: present, and neither false nor 0."""
    return value is not None and value.lower() not in ("false", "0")
