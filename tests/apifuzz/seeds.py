"""What generated requests are made from: those that a real API server was asked (`tests/conformance/corpus`), and the
names and values in their bodies by field.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry, Resource
from tests.conformance.server import CORPUS

NAMESPACE: Final = "default"
_MAX_VALUES: Final = 40
_NOT_SENT: Final = ("proxy", "exec", "attach", "portforward")
"""Subresources that would reach programs of the machine that are not part of the test."""


class Seed(NamedTuple):
    """``query`` is encoded; ``body`` as decoded JSON, or text, or None."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any


@cache
def seeds() -> list[Seed]:
    found = [_seed(step) for document in _documents() for step in _requests(document)]
    return [seed for seed in found if not any(name in seed.path for name in _NOT_SENT)]


def _documents() -> Iterator[Any]:
    for file in sorted(CORPUS.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line.replace("{ns}", NAMESPACE))


def _requests(document: Any) -> Iterator[dict[str, Any]]:
    for step in document.get("steps", ()):
        if "steps" in step:
            yield from _requests(step)
        elif "method" in step:
            yield step


def _seed(step: dict[str, Any]) -> Seed:
    headers = {name: value for name, value in step.get("headers", {}).items() if isinstance(value, str)}
    query = step.get("query") or {}
    encoded = query if isinstance(query, str) else urlencode(query, doseq=True)
    return Seed(step["method"], step["path"], encoded, headers, step.get("body"))


@cache
def values() -> dict[str, list[Any]]:
    """By field name what it was given."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for seed in seeds():
        for name, value in _fields(seed.body):
            found[name].setdefault(json.dumps(value, sort_keys=True), value)
    return {name: list(by_text.values())[:_MAX_VALUES] for name, by_text in found.items()}


@cache
def bodies() -> dict[str, list[Any]]:
    """Objects by kind."""
    found: dict[str, list[Any]] = defaultdict(list)
    for seed in seeds():
        if isinstance(seed.body, dict) and isinstance(seed.body.get("kind"), str):
            found[seed.body["kind"]].append(seed.body)
    return dict(found)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from _fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner)


@cache
def resources() -> list[Resource]:
    return Registry.default(RegistryOptions()).resources


def collection(resource: Resource, namespace: str = NAMESPACE) -> str:
    """The path of a collection."""
    gvr = resource.gvr
    root = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
    scope = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{scope}/{gvr.resource}"
