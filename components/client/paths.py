"""Request paths and query strings (P), as in the API conventions: /api/v1/namespaces/x/pods/y/status."""

from __future__ import annotations

from urllib.parse import quote

from apiserver.api.gvk import GroupVersionResource


def resource_path(
    gvr: GroupVersionResource,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
) -> str:
    """The path of a collection (no name), an object or a subresource; without namespace: cluster-wide."""
    root = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
    parts = [root]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(gvr.resource)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def query_of(**parameters: str | int | bool | None) -> dict[str, str]:
    """Query parameters without the empty ones; booleans as the API spells them."""
    query: dict[str, str] = {}
    for key, value in parameters.items():
        if value is None or value == "" or value is False:
            continue
        query[key] = "true" if value is True else str(value)
    return query
