"""Scale of custom resources: replicas and selector are where the definition's JSONPaths point.

Pure. Source: apiextensions ``scaleFromCustomResource``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.api import errors
from apiserver.api.field_errors import quote

Object = dict[str, Any]


def values(obj: Object, paths: Mapping[str, str]) -> tuple[int, int, str]:
    """(wanted replicas, actual replicas, selector). Raises 500 where the wanted ones are not given."""
    wanted = _number(obj, paths["specReplicasPath"])
    if wanted is None:
        raise errors.internal(f"the spec replicas field {quote(paths['specReplicasPath'])} does not exist")
    actual = _number(obj, paths["statusReplicasPath"]) or 0
    selector = _find(obj, paths.get("labelSelectorPath") or "")
    return wanted, actual, selector if isinstance(selector, str) else ""


def set_replicas(obj: Object, paths: Mapping[str, str], replicas: int) -> None:
    *parents, last = paths["specReplicasPath"].lstrip(".").split(".")
    target = obj
    for name in parents:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[last] = replicas


def place(paths: Mapping[str, str]) -> tuple[str, ...]:
    """Of the replicas, as field sets name it."""
    return tuple(f"f:{name}" for name in paths["specReplicasPath"].lstrip(".").split("."))


def _number(obj: Object, path: str) -> int | None:
    value = _find(obj, path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _find(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.lstrip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
