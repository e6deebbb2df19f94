"""Files of one volume that would lie over each other (``warningsForOverlappingVirtualPaths``). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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


def _projected(sources: Sequence[Object], name: str) -> list[str]:
    read = [(source, *_source(source)) for source in sources]
    if _are_apart([path for _, paths, _, _ in read for path in paths]) and all(sources):
        return []
    found: list[str] = []
    everything: set[str] = set()
    for source, paths, kind, called in read:
        if not source:
            found.append(f"volume {quote(name)} (Projected) has no sources provided")
            continue
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
    if _are_apart(paths):
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


def _are_apart(paths: Sequence[str]) -> bool:
    """Whether surely none overlaps: in their order, what begins with a path follows it at once."""
    ordered = sorted([path.rstrip("/") for path in paths if path]) if len(paths) > 1 else ()
    return not any(behind.startswith(path) for path, behind in pairwise(ordered))


def _overlap(one: str, other: str) -> bool:
    """As the original compares, by prefix of text."""
    if not one or not other:
        return False
    return one == other or f"{one}/".startswith(other) or f"{other}/".startswith(one)
