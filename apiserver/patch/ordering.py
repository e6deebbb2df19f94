"""(P) The order of a merged list, and what makes two of its elements the same. Fed by `strategic`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def ordered(merged: list[Any], patch: list[Any], server: list[Any], identity: Identity) -> list[Any]:
    """What the patch names in its order, the rest in the server's, zipped by the server's order."""
    patch_ids = [identity(element) for element in patch]
    server_ids = [identity(element) for element in server]
    named = sorted(
        (e for e in merged if identity(e) in patch_ids), key=lambda e: patch_ids.index(identity(e))
    )
    others = sorted(
        (e for e in merged if identity(e) not in patch_ids),
        key=lambda e: server_ids.index(identity(e)) if identity(e) in server_ids else len(server_ids),
    )
    result: list[Any] = []
    while named and others:
        left, right = identity(others[0]), identity(named[0])
        known = left in server_ids and right in server_ids
        others_first = known and server_ids.index(left) < server_ids.index(right)
        result.append((others if others_first else named).pop(0))
    return result + named + others


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
