"""Files of one volume that would lie over each other (``warningsForOverlappingVirtualPaths``). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apiserver.api.field_errors import quote

Object = dict[str, Any]


def overlapping_paths(volume: Object) -> list[str]:
    """Runs on every create of a pod: texts are made only of what overlaps."""
    name = volume.get("name") or ""
    found = []
    for field, kind, called in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(field) or {}
        found += _told(_overlaps(_paths(source)), name, kind, source.get(called) or "")
    found += _told(_overlaps(_paths(volume.get("downwardAPI") or {})), name, "DownwardAPI", None)
    return found + _projected((volume.get("projected") or {}).get("sources") or (), name)


def _told(overlaps: list[tuple[str, str]], volume: str, kind: str, called: str | None) -> list[str]:
    return [
        f"volume {quote(volume)} ({kind if called is None else f'{kind} {quote(called)}'}): overlapping paths: "
        f"{quote(one)} with {quote(other)}"
        for one, other in overlaps
    ]


def _paths(source: Object) -> list[str]:
    return [item.get("path") or "" for item in source.get("items") or ()]


def _projected(sources: Iterable[Object], name: str) -> list[str]:
    found: list[str] = []
    everything: set[str] = set()
    for source in sources:
        if not source:
            found.append(f"volume {quote(name)} (Projected) has no sources provided")
            continue
        paths, kind, called = _source(source)
        overlaps = _overlaps(paths) + (_overlaps(sorted({*paths, *everything})) if paths else [])
        found += _told(overlaps, name, f"Projected {kind}", called)
        everything.update(paths)
    return found


def _source(source: Object) -> tuple[list[str], str, str | None]:
    """The files of one source, and how the original calls it: its kind and its name, if it has one."""
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (source.get(field) or {}).get("items"):
            return _paths(source[field]), kind, source[field].get("name") or ""
    if (source.get("downwardAPI") or {}).get("items"):
        return _paths(source["downwardAPI"]), "DownwardAPI", None
    if source.get("serviceAccountToken") is not None:
        return [source["serviceAccountToken"].get("path") or ""], "ServiceAccountToken", None
    bundle = source.get("clusterTrustBundle")
    if bundle is not None:
        called = bundle.get("name") or bundle.get("signerName") or ""
        return [bundle.get("path") or ""], "ClusterTrustBundle", called
    return [], "", None


def _overlaps(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Each path that lies over one before it, with the first such."""
    if len(paths) < 2:
        return []
    found: list[tuple[str, str]] = []
    seen: list[str] = []
    for path in paths:
        own = path.rstrip("/")
        other = next((item for item in seen if _overlap(item, own)), None)
        if other is not None:
            found.append((own, other))
        if own not in seen:
            seen.append(own)
    return found


def _overlap(one: str, other: str) -> bool:
    """As the original compares, by prefix of text."""
    if not one or not other:
        return False
    return one == other or f"{one}/".startswith(other) or f"{other}/".startswith(one)
