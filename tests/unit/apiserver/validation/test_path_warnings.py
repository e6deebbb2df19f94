"""Overlapping paths of volumes, beside a twin that compares every pair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apiserver.validation.path_warnings import overlapping_paths

_PATHS = st.lists(st.text("ab/", max_size=4), max_size=5)


def _items(paths: list[str]) -> list[dict[str, str]]:
    return [{"key": "k", "path": path} for path in paths]


def _pairs(paths: list[str]) -> list[tuple[str, str]]:
    """Each path with the first one before it of which one is the beginning of the other."""
    found: list[tuple[str, str]] = []
    bare = [path.rstrip("/") for path in paths]
    for at, path in enumerate(bare):
        others = [
            other for other in bare[:at] if other and (path.startswith(other) or other.startswith(path))
        ]
        if path and others:
            found.append((path, others[0]))
    return found


def _told(paths: list[str], what: str) -> list[str]:
    return [f'volume "v" ({what}): overlapping paths: "{one}" with "{other}"' for one, other in _pairs(paths)]


@given(_PATHS)
def test_of_one_source(paths: list[str]) -> None:
    volume = {"name": "v", "configMap": {"name": "m", "items": _items(paths)}}
    assert overlapping_paths(volume) == _told(paths, 'ConfigMap "m"')


@given(st.lists(_PATHS.filter(bool), max_size=3))
def test_of_several_sources(sources: list[list[str]]) -> None:
    projected = {"sources": [{"downwardAPI": {"items": _items(paths)}} for paths in sources]}
    expected, before = list[str](), set[str]()
    for paths in sources:
        before |= set(paths)
        expected += _told(paths, "Projected DownwardAPI") + _told(sorted(before), "Projected DownwardAPI")
    assert overlapping_paths({"name": "v", "projected": projected}) == expected


def test_of_a_source_that_is_empty() -> None:
    volume = {"name": "v", "projected": {"sources": [{}]}}
    assert overlapping_paths(volume) == ['volume "v" (Projected) has no sources provided']
