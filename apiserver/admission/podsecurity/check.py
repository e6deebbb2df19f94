"""(P) What a check is, and how checks look at a pod's containers and put their findings into words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api.meta import Object

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Violation:
    reason: str
    detail: str = ""


Run = Callable[[Object, Object, int], Violation | None]


@dataclass(frozen=True, slots=True)
class Check:
    """``run(metadata, spec, minor)``; ``since``: the first minor version that has it."""

    name: str
    run: Run
    since: int = 0
    instead_of: str = ""


def containers(spec: Object) -> Iterator[Object]:
    for field in _CONTAINERS:
        yield from spec.get(field) or ()


def context(holder: Object) -> Object:
    """The security context of a pod's spec or of a container."""
    return holder.get("securityContext") or {}


def inner(holder: Object, *path: str) -> Any:
    """What is set below the security context; None if nothing is."""
    value: Any = context(holder)
    for key in path:
        value = (value or {}).get(key)
    return value


def names_where(spec: Object, bad: Callable[[Object], bool]) -> list[str]:
    return [container["name"] for container in containers(spec) if bad(container)]


def quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def plural(word: str, items: Any) -> str:
    return word if len(items) == 1 else f"{word}s"


def listed(names: list[str]) -> str:
    """``container "a"`` or ``containers "a", "b"``"""
    return f"{plural('container', names)} {quoted(names)}"


def setters(in_pod: bool, names: list[str]) -> str:
    """``pod and container "a"``"""
    return " and ".join([*(["pod"] if in_pod else []), *([listed(names)] if names else [])])


def relaxed(spec: Object, minor: int) -> bool:
    """A pod in a user namespace of its own may look like root since 1.35."""
    return minor >= 35 and spec.get("hostUsers") is False


def on_windows(spec: Object, minor: int) -> bool:
    return minor >= 25 and (spec.get("os") or {}).get("name") == "windows"
