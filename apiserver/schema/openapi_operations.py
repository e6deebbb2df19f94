"""What can be done with a resource, as one list of operations: the common ground of both OpenAPI versions.

Pure. :mod:`.openapi_v2` and :mod:`.openapi_v3` write each operation their way; names of operations, descriptions and
parameters are those of the original, so that clients generated from either document look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.registry.deletion import RETURNS_OBJECT

_DATA: Final = Path(__file__).parent / "data" / "openapi_parameters.json"
_STATUS: Final = GroupVersionKind("meta", "v1", "Status")
_DELETE_OPTIONS: Final = GroupVersionKind("meta", "v1", "DeleteOptions")
_WATCH_EVENT: Final = GroupVersionKind("meta", "v1", "WatchEvent")
PATCH: Final = GroupVersionKind("meta", "v1", "Patch")
_CONNECT: Final = frozenset({"attach", "exec", "portforward", "proxy"})
_METHODS: Final = {"create": "post", "get": "get", "update": "put", "patch": "patch", "delete": "delete"}
_CREATED: Final = {"post": (200, 201, 202), "put": (200, 201), "patch": (200, 201), "delete": (200, 202)}
_NAMES: Final = {"get": "read", "put": "replace", "post": "create", "patch": "patch", "delete": "delete"}
_DEPRECATED: Final = "deprecated: use the 'watch' parameter with a list operation instead"


class OpenApiSubresource(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def gvk(self) -> GroupVersionKind: ...
    @property
    def verbs(self) -> tuple[str, ...]: ...


class OpenApiResource(Protocol):
    """What is needed of a registry resource."""

    @property
    def gvr(self) -> GroupVersionResource: ...
    @property
    def gvk(self) -> GroupVersionKind: ...
    @property
    def namespaced(self) -> bool: ...
    @property
    def verbs(self) -> tuple[str, ...]: ...
    @property
    def subresources(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """``body`` and ``answer`` are kinds, group "meta" those of meta.k8s.io; no answer: text. ``listed``: a List of it.

    ``group`` names the table of query parameters."""

    path: str
    method: str
    action: str
    name: str
    description: str
    gvk: GroupVersionKind
    group: str
    codes: tuple[int, ...] = (200,)
    body: GroupVersionKind | None = None
    answer: GroupVersionKind | None = None
    listed: bool = False
    streams: bool = False


@cache
def _tables() -> Mapping[str, Any]:
    tables: dict[str, Any] = msgspec.json.decode(_DATA.read_bytes())
    return tables


def parameters() -> Mapping[str, dict[str, Any]]:
    """Every parameter by name, as OpenAPI v2 writes it."""
    known: dict[str, dict[str, Any]] = _tables()["parameters"]
    return known


def query_parameters(group: str) -> list[str]:
    names: list[str] = _tables()["of"].get(group, [])
    return names


def tag(resource: OpenApiResource) -> str:
    """``core_v1``, ``rbacAuthorization_v1``"""
    camel = _group_name(resource)
    return f"{camel[0].lower()}{camel[1:]}_{resource.gvr.version}"


def _group_name(resource: OpenApiResource) -> str:
    parts = (resource.gvr.group.removesuffix(".k8s.io") or "core").split(".")
    return "".join(part[0].upper() + part[1:] for part in parts)


def operations(resource: OpenApiResource) -> Iterator[Operation]:
    yield from _on_collection(resource)
    yield from _on_object(resource)
    for sub in resource.subresources.values():
        yield from _connect(resource, sub) if sub.name in _CONNECT else _on_part(resource, sub)
    if "watch" in resource.verbs:
        yield from _legacy_watches(resource)


def _root(resource: OpenApiResource, watch: str = "") -> str:
    gvr = resource.gvr
    return (f"/apis/{gvr.group_version}" if gvr.group else f"/api/{gvr.version}") + watch


def _collection(resource: OpenApiResource, watch: str = "") -> str:
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    return f"{_root(resource, watch)}{scope}/{resource.gvr.resource}"


def _name(resource: OpenApiResource, verb: str, part: str = "") -> str:
    scope = "Namespaced" if resource.namespaced else ""
    return f"{verb}{_prefix(resource)}{scope}{resource.gvk.kind}{part}"


def _prefix(resource: OpenApiResource) -> str:
    """``CoreV1``"""
    return _group_name(resource) + resource.gvr.version[0].upper() + resource.gvr.version[1:]


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"


def _on_collection(resource: OpenApiResource) -> Iterator[Operation]:
    path, kind, gvk = _collection(resource), resource.gvk.kind, resource.gvk
    scope = "Namespaced" if resource.namespaced else ""
    described = (
        f"list or watch objects of kind {kind}"
        if "watch" in resource.verbs
        else f"list objects of kind {kind}"
    )
    if "list" in resource.verbs:
        listing = Operation(
            path, "get", "list", _name(resource, "list"), described, gvk, "list",
            answer=gvk, listed=True, streams="watch" in resource.verbs,
        )  # fmt: skip
        yield listing
        if resource.namespaced:
            yield _everywhere(resource, listing)
    if "create" in resource.verbs:
        yield Operation(
            path, "post", "post", _name(resource, "create"), f"create {_a(kind)}", gvk, "post",
            _CREATED["post"], gvk, gvk,
        )  # fmt: skip
    if "deletecollection" in resource.verbs:
        name = f"delete{_prefix(resource)}Collection{scope}{kind}"
        yield Operation(
            path, "delete", "deletecollection", name, f"delete collection of {kind}", gvk, "deletecollection",
            body=_DELETE_OPTIONS, answer=_STATUS,
        )  # fmt: skip


def _everywhere(resource: OpenApiResource, listing: Operation, watch: str = "") -> Operation:
    """The same in all namespaces."""
    verb, suffix = ("watch", "List") if watch else ("list", "")
    name = f"{verb}{_prefix(resource)}{resource.gvk.kind}{suffix}ForAllNamespaces"
    return replace(listing, path=f"{_root(resource, watch)}/{resource.gvr.resource}", name=name)


def _on_object(resource: OpenApiResource) -> Iterator[Operation]:
    path = _collection(resource) + "/{name}"
    for verb in ("get", "update", "patch", "delete"):
        if verb in resource.verbs:
            yield _single(resource, path, verb, resource.gvk)


def _single(
    resource: OpenApiResource, path: str, verb: str, gvk: GroupVersionKind, part: str = ""
) -> Operation:
    """``part``: the subresource, if it is not the object itself."""
    method, kind = _METHODS[verb], resource.gvk.kind
    body = {"put": gvk, "patch": PATCH, "delete": _DELETE_OPTIONS}.get(method)
    camel = part[:1].upper() + part[1:]
    return Operation(
        path, method, method, _name(resource, _NAMES[method], camel), _described(method, kind, part), gvk, method,
        _CREATED.get(method, (200,)), body, _answer(resource, method, gvk),
    )  # fmt: skip


def _described(method: str, kind: str, part: str) -> str:
    what = f"{part} of the specified {kind}" if part else f"the specified {kind}"
    words = {"get": "read", "put": "replace", "patch": "partially update"}
    return f"{words[method]} {what}" if method in words else f"delete {_a(kind)}"


def _answer(resource: OpenApiResource, method: str, gvk: GroupVersionKind) -> GroupVersionKind:
    if method != "delete":
        return gvk
    return gvk if tuple(resource.gvr.group_resource) in RETURNS_OBJECT else _STATUS


def _on_part(resource: OpenApiResource, sub: OpenApiSubresource) -> Iterator[Operation]:
    path = f"{_collection(resource)}/{{name}}/{sub.name}"
    camel, kind = sub.name[0].upper() + sub.name[1:], resource.gvk.kind
    for verb in sub.verbs:
        if verb == "create":
            yield Operation(
                path, "post", "post", _name(resource, "create", camel), f"create {sub.name} of {_a(kind)}", sub.gvk,
                "post", _CREATED["post"], sub.gvk, sub.gvk,
            )  # fmt: skip
        elif sub.name == "log":
            described = f"read log of the specified {kind}"
            yield Operation(path, "get", "get", _name(resource, "read", camel), described, sub.gvk, "log")
        else:
            yield _single(resource, path, verb, sub.gvk, sub.name)


def _connect(resource: OpenApiResource, sub: OpenApiSubresource) -> Iterator[Operation]:
    """Streams: any method, nothing of it an object."""
    base, kind = f"{_collection(resource)}/{{name}}/{sub.name}", resource.gvk.kind
    methods = [_METHODS[verb] for verb in sub.verbs]
    if sub.name == "proxy":
        methods += ["head", "options"]
    paths = {base: "", base + "/{path}": "WithPath"} if sub.name == "proxy" else {base: ""}
    camel = sub.name[0].upper() + sub.name[1:]
    for path, suffix in paths.items():
        for method in methods:
            verb = method[0].upper() + method[1:]
            scope = "Namespaced" if resource.namespaced else ""
            name = f"connect{_prefix(resource)}{verb}{scope}{kind}{camel}{suffix}"
            described = f"connect {method.upper()} requests to {sub.name} of {kind}"
            yield Operation(path, method, "connect", name, described, sub.gvk, sub.name)


def _legacy_watches(resource: OpenApiResource) -> Iterator[Operation]:
    path, kind, gvk = _collection(resource, "/watch"), resource.gvk.kind, resource.gvk
    described = f"watch individual changes to a list of {kind}. {_DEPRECATED}."
    every = Operation(
        path, "get", "watchlist", _name(resource, "watch", "List"), described, gvk, "watchlist",
        answer=_WATCH_EVENT, streams=True,
    )  # fmt: skip
    yield every
    if resource.namespaced:
        yield _everywhere(resource, every, "/watch")
    yield Operation(
        path + "/{name}", "get", "watch", _name(resource, "watch"),
        f"watch changes to an object of kind {kind}. {_DEPRECATED}, filtered to a single item with the "
        "'fieldSelector' parameter.", gvk, "watch", answer=_WATCH_EVENT, streams=True,
    )  # fmt: skip
