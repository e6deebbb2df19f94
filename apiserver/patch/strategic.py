"""Strategic merge patch: a merge patch that knows which lists are maps in disguise.

Follows ``apimachinery/pkg/util/strategicpatch``. A list with patch strategy ``merge`` and a merge key is merged item
by item; without a merge key it is a set. Directives: ``$patch`` (replace, delete, merge), ``$retainKeys``,
``$setElementOrder/x``, ``$deleteFromPrimitiveList/x``. ``Lookup`` says how a field is patched.

Example: containers [{name: a, image: 1}, {name: b}] with patch [{name: a, image: 2}, {name: b, $patch: delete}]
gives [{name: a, image: 2}].
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from apiserver.patch.errors import PatchFailure

_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_REMOVE: Final = "$deleteFromPrimitiveList/"
Path = tuple[str, ...]
Map = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """``merge_key`` empty with ``merge``: a list of primitives taken as a set."""

    merge: bool = False
    merge_key: str = ""
    retain_keys: bool = False


Lookup = Callable[[Path], FieldRule]


def apply(target: Map, patch: Map, lookup: Lookup) -> Map:
    """``target`` with ``patch`` applied; neither is changed. Raises PatchFailure."""
    return _merge_map(deepcopy(target), deepcopy(patch), lookup, ())


def _merge_map(target: Map, patch: Map, lookup: Lookup, path: Path) -> Map:
    directive = patch.pop(_DIRECTIVE, None)
    if directive == "replace":
        return _without_nulls(patch)
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchFailure(f"unknown patch type: {directive} in map: {_go({_DIRECTIVE: directive, **patch})}")
    _retain(target, patch)
    orders = _take_orders(patch)
    _take_removals(target, patch)
    for key, value in patch.items():
        _merge_field(target, key, value, lookup, (*path, key))
    for key, order in orders.items():
        if isinstance(target.get(key), list):
            patched = patch.get(key)
            rule = lookup((*path, key))
            target[key] = _in_order(target[key], patched if isinstance(patched, list) else [], order, rule)
    return target


def _merge_field(target: Map, key: str, value: Any, lookup: Lookup, path: Path) -> None:
    if value is None:
        target.pop(key, None)
        return
    present = target.get(key)
    if isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            target.pop(key, None)
        else:
            target[key] = _merge_map(present if isinstance(present, dict) else {}, value, lookup, path)
    elif isinstance(value, list):
        rule = lookup(path)
        if rule.merge:
            target[key] = _merge_list(present if isinstance(present, list) else [], value, rule, lookup, path)
        else:
            target[key] = [_without_nulls(item) if isinstance(item, dict) else item for item in value]
    else:
        target[key] = value


def _retain(target: Map, patch: Map) -> None:
    """Drops from the target what the patch does not list to be kept."""
    retained = patch.pop(_RETAIN, None)
    if retained is None:
        return
    missing = [key for key in patch if key not in retained and not key.startswith("$")]
    if missing:
        raise PatchFailure("patch does not match retainKeys list: " + ", ".join(sorted(missing)))
    for key in [key for key in target if key not in retained]:
        del target[key]


def _take_orders(patch: Map) -> dict[str, list[Any]]:
    names = [name for name in patch if name.startswith(_ORDER)]
    return {name[len(_ORDER) :]: patch.pop(name) for name in names}


def _take_removals(target: Map, patch: Map) -> None:
    for name in [name for name in patch if name.startswith(_REMOVE)]:
        key, removed = name[len(_REMOVE) :], patch.pop(name)
        if isinstance(target.get(key), list):
            target[key] = [item for item in target[key] if item not in removed]


def _merge_list(present: list[Any], patch: list[Any], rule: FieldRule, lookup: Lookup, path: Path) -> list[Any]:
    if not rule.merge_key:
        return present + [item for item in _unique(patch) if item not in present]
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [_without_nulls(item) for item in patch if item.get(_DIRECTIVE) != "replace"]
    result = list(present)
    for item in patch:
        _merge_item(result, item, rule, lookup, path)
    return result


def _merge_item(result: list[Any], item: Any, rule: FieldRule, lookup: Lookup, path: Path) -> None:
    if not isinstance(item, dict):
        raise PatchFailure("invalid JSON document: expected a list of objects")
    key = rule.merge_key
    if key not in item:
        raise PatchFailure(f"map: {_go(item)} does not contain declared merge key: {key}")
    directive = item.get(_DIRECTIVE)
    if directive not in (None, "merge", "delete"):
        raise PatchFailure(f"unknown patch type: {directive} in map: {_go(item)}")
    matching = [i for i, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]]
    if directive == "delete":
        for at in reversed(matching):
            del result[at]
    elif matching:
        result[matching[0]] = _merge_map(result[matching[0]], item, lookup, path)
    else:
        result.append(_merge_map({}, item, lookup, path))


def _in_order(merged: list[Any], patched: list[Any], order: list[Any], rule: FieldRule) -> list[Any]:
    """The merged list with the items named by ``order`` in that order; others keep their places relative to their
    successors on the server, as ``normalizeElementOrder``."""
    key = rule.merge_key

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    named = [identity(item) for item in patched if not (isinstance(item, dict) and _DIRECTIVE in item)]
    if [name for name in wanted if name in named] != named:
        raise PatchFailure(
            f"The order in patch list:\n{_go(patched)}\n doesn't match $setElementOrder list:\n{_go(order)}\n"
        )
    rank = {name: at for at, name in enumerate(wanted)}
    ordered = sorted((i for i in merged if identity(i) in rank), key=lambda i: rank[identity(i)])
    return _interleave(ordered, merged, identity, rank)


def _interleave(
    ordered: list[Any], merged: list[Any], identity: Callable[[Any], Any], rank: dict[Any, int]
) -> list[Any]:
    """Server-only items come before the first ordered item that followed them on the server."""
    position = {identity(item): at for at, item in enumerate(merged)}
    rest = [item for item in merged if identity(item) not in rank]
    result: list[Any] = []
    for item in ordered:
        while rest and position[identity(rest[0])] < position[identity(item)]:
            result.append(rest.pop(0))
        result.append(item)
    return result + rest


def _unique(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _without_nulls(value: Map) -> Map:
    """What a patch sets where nothing was: no nulls, no directives."""
    result: Map = {}
    for key, item in value.items():
        if item is not None and not key.startswith("$"):
            result[key] = _without_nulls(item) if isinstance(item, dict) else item
    return result


def _go(value: Any) -> str:
    """Go's %v of decoded JSON."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_go(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_go(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
