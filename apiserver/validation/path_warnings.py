"""Files of one volume that would lie over each other (``warningsForOverlappingVirtualPaths``). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver.api.field_errors import quote

Object = dict[str, Any]


def overlapping_paths(volume: Object) -> list[str]:
    name = quote(volume.get("name") or "")
    found = []
    for field, kind, called in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(field) or {}
        prefix = f"volume {name} ({kind} {quote(source.get(called) or '')}): overlapping paths"
        found += _overlaps(_paths(source), prefix)
    found += _overlaps(
        _paths(volume.get("downwardAPI") or {}), f"volume {name} (DownwardAPI): overlapping paths"
    )
    return found + _projected((volume.get("projected") or {}).get("sources") or (), name)


def _paths(source: Object) -> list[str]:
    return [item.get("path") or "" for item in source.get("items") or ()]


def _projected(sources: Iterable[Object], name: str) -> list[str]:
    found: list[str] = []
    everything: set[str] = set()
    for source in sources:
        if not source:
            found.append(f"volume {name} (Projected) has no sources provided")
            continue
        paths, label = _source(source)
        prefix = f"volume {name} (Projected {label}): overlapping paths"
        found += _overlaps(paths, prefix)
        found += _overlaps(sorted({*paths, *everything}), prefix) if paths else []
        everything.update(paths)
    return found


def _source(source: Object) -> tuple[list[str], str]:
    """The files of one source, and how the original calls it."""
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (source.get(field) or {}).get("items"):
            return _paths(source[field]), f"{kind} {quote(source[field].get('name') or '')}"
    if (source.get("downwardAPI") or {}).get("items"):
        return _paths(source["downwardAPI"]), "DownwardAPI"
    if source.get("serviceAccountToken") is not None:
        return [source["serviceAccountToken"].get("path") or ""], "ServiceAccountToken"
    bundle = source.get("clusterTrustBundle")
    if bundle is not None:
        called = bundle.get("name") or bundle.get("signerName") or ""
        return [bundle.get("path") or ""], f"ClusterTrustBundle {quote(called)}"
    return [], ""


def _overlaps(paths: Iterable[str], prefix: str) -> list[str]:
    found: list[str] = []
    seen: list[str] = []
    for path in paths:
        own = path.rstrip("/")
        other = next((item for item in seen if _overlap(item, own)), None)
        if other is not None:
            found.append(f"{prefix}: {quote(own)} with {quote(other)}")
        if own not in seen:
            seen.append(own)
    return found


def _overlap(one: str, other: str) -> bool:
    """As the original compares, by prefix of text."""
    if not one or not other:
        return False
    return one == other or f"{one}/".startswith(other) or f"{other}/".startswith(one)
