"""(P) Discovery documents of other servers: read in any of the forms, as entries of the aggregated one.

Source: apiserver ``pkg/endpoints`` (``ConvertGroupVersionIntoToDiscovery``), kube-aggregator ``handler_discovery.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apiserver.aggregator.service import GroupVersion

Object = dict[str, Any]
CURRENT, STALE = "Current", "Stale"
ACCEPT: Final = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_FIELDS: Final = ("shortNames", "categories")


class Unreadable(ValueError):
    """It is no discovery document."""


def aggregated(document: Any) -> dict[GroupVersion, Object] | None:
    """An entry for each version; None for a document of another form. Raises Unreadable."""
    if not isinstance(document, dict) or document.get("kind") != "APIGroupDiscoveryList":
        return None
    found: dict[GroupVersion, Object] = {}
    try:
        for group in document.get("items") or ():
            for version in group.get("versions") or ():
                found[(group.get("metadata") or {}).get("name") or "", version["version"]] = version
    except (AttributeError, KeyError, TypeError) as exc:
        raise Unreadable(f"APIGroupDiscoveryList: {exc!r}") from exc
    return found


def of_resources(document: Any, version: str) -> Object:
    """The entry of a version, from its APIResourceList. Raises Unreadable."""
    if not isinstance(document, dict) or document.get("kind") != "APIResourceList":
        raise Unreadable("not an APIResourceList")
    try:
        return {"version": version, "resources": _resources(document.get("resources") or ())}
    except (AttributeError, KeyError, TypeError) as exc:
        raise Unreadable(f"APIResourceList: {exc!r}") from exc


def _resources(listed: Sequence[Mapping[str, Any]]) -> list[Object]:
    found: dict[str, Object] = {}
    for item in listed:
        if "/" not in item["name"]:
            found[item["name"]] = _resource(item)
    for item in listed:
        name, slash, part = item["name"].partition("/")
        if slash:
            parent = found.setdefault(name, {"resource": name, "responseKind": {}, "scope": _scope(item)})
            entry = {"subresource": part, "responseKind": _kind(item), "verbs": list(item.get("verbs") or ())}
            parent.setdefault("subresources", []).append(entry)
    return list(found.values())


def _resource(item: Mapping[str, Any]) -> Object:
    entry = {
        "resource": item["name"],
        "responseKind": _kind(item),
        "scope": _scope(item),
        "singularResource": item.get("singularName") or "",
        "verbs": list(item.get("verbs") or ()),
    }
    return entry | {name: list(item[name]) for name in _FIELDS if item.get(name)}


def _scope(item: Mapping[str, Any]) -> str:
    return "Namespaced" if item.get("namespaced") else "Cluster"


def _kind(item: Mapping[str, Any]) -> Object:
    return {name: item.get(name) or "" for name in ("group", "version", "kind")}
