"""(P) The order of a merged list, and what makes two of its elements the same. Fed by `strategic`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from apiserver.api import codec
from apiserver.patch.errors import PatchFailure
from apiserver.patch.go_text import go_value

Identity = Callable[[Any], Any]


def itself(value: Any) -> Any:
    return value


def by_key(key: str) -> Identity:
    """Elements are maps, told apart by the value of one field; `PatchFailure` for one without it."""

    def identity(element: Any) -> Any:
        if not isinstance(element, dict) or key not in element:
            raise PatchFailure(f"map: {go_value(element)} does not contain declared merge key: {key}")
        return element[key]

    return identity


def hashable(value: Any) -> Any:
    """Equal for equal JSON values: lists of many thousands are merged, so nothing may be looked for one by one."""
    return codec.dumps(value) if isinstance(value, dict | list) else value


def positions(ids: Iterable[Any]) -> dict[Any, int]:
    """Where each is met first."""
    found: dict[Any, int] = {}
    for at, value in enumerate(ids):
        found.setdefault(hashable(value), at)
    return found


def holds_maps(*lists: list[Any]) -> bool:
    """True for lists of maps. Raises when the lists mix maps with primitives or hold lists."""
    kinds = {dict if isinstance(v, dict) else list if isinstance(v, list) else str for x in lists for v in x}
    if list in kinds:
        raise PatchFailure("lists of lists are not supported")
    if len(kinds) > 1:
        raise PatchFailure("list elements are of different types")
    return kinds == {dict}


def unique(values: list[Any]) -> list[Any]:
    """Without repetitions; the first of equals stays."""
    kept: dict[Any, Any] = {}
    for value in values:
        kept.setdefault(hashable(value), value)
    return list(kept.values())


def ordered(merged: list[Any], patch: list[Any], server: list[Any], identity: Identity) -> list[Any]:
    """What the patch names in its order, the rest in the server's, zipped by the server's order."""
    in_patch = positions(identity(element) for element in patch)
    in_server = positions(identity(element) for element in server)
    keyed = [(hashable(identity(element)), element) for element in merged]
    named = deque(sorted((k for k in keyed if k[0] in in_patch), key=lambda k: in_patch[k[0]]))
    others = deque(
        sorted((k for k in keyed if k[0] not in in_patch), key=lambda k: in_server.get(k[0], len(server)))
    )
    result: list[Any] = []
    while named and others:
        left, right = in_server.get(others[0][0]), in_server.get(named[0][0])
        others_first = left is not None and right is not None and left < right
        result.append((others if others_first else named).popleft()[1])
    return result + [element for _, element in (*named, *others)]


def check_order(change: list[Any], order: list[Any], identity: Identity) -> None:
    """Every element of the patch that is not a directive must stand in the order list, in the same order."""
    order_ids = [identity(element) for element in order]
    position = 0
    plain = [e for e in change if not (isinstance(e, dict) and "$patch" in e)]
    for element in plain:
        try:
            position = order_ids.index(identity(element), position) + 1
        except ValueError:
            raise PatchFailure(
                f"The order in patch list:\n{go_value(change)}\n doesn't match $setElementOrder list:\n"
                f"{go_value(order)}\n"
            ) from None
