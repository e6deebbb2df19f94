"""(P) Strategic merge patch: a merge patch that knows which lists are sets or maps, from the type's schema.

A list with patch strategy `merge` is merged by its merge key, for example containers by name. Directives in
the patch say more: `$patch: delete | replace`, `$retainKeys`, `$deleteFromPrimitiveList/FIELD` and
`$setElementOrder/FIELD`. Semantics, order of results and error texts follow apimachinery's
`pkg/util/strategicpatch/patch.go`.
"""

from __future__ import annotations

from typing import Any

from apiserver.api.meta import Object
from apiserver.patch.errors import BadPatch, PatchFailure
from apiserver.patch.go_text import go_type, go_value
from apiserver.patch.ordering import (
    Identity,
    by_key,
    check_order,
    hashable,
    holds_maps,
    itself,
    ordered,
    positions,
    unique,
)
from apiserver.schema.types import ApiType, Field, Kind

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
ELEMENT_ORDER = "$setElementOrder/"

BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
BAD_ORDER_LIST = "invalid patch format of setElementOrder list"


def apply(document: Object, patch: Object, api_type: ApiType | None) -> Object:
    """The patched document. Raises `BadPatch` for a malformed directive, else `PatchFailure`."""
    return merge_map(document, patch, api_type)


def merge_map(original: Object, patch: Object, api_type: ApiType | None) -> Object:
    """One map merged into another of the given type."""
    directive = patch.get(DIRECTIVE)
    if directive is not None:
        return _directed(original, patch, directive, api_type)
    result = _retained(original, patch)
    result = _without_primitives(result, patch)
    handled = {RETAIN_KEYS}
    for key in [k for k in patch if k.startswith(ELEMENT_ORDER)]:
        handled |= {key, _order_field(result, patch, key, api_type)}
    for key, value in patch.items():
        if key not in handled and not key.startswith(DELETE_PRIMITIVES):
            _merge_field(result, key, value, field_of(api_type, key))
    return result


def field_of(api_type: ApiType | None, key: str) -> Field | None:
    """What the schema says of one key of a struct or map; None where it says nothing."""
    if api_type is None:
        return None
    if api_type.kind is Kind.MAP:
        return Field(api_type.item) if api_type.item else None
    return api_type.fields.get(key)


def strategies(field: Field | None) -> set[str]:
    """The patch strategies of a field: "merge", "replace" and "retainKeys" may be combined by commas."""
    return set(field.patch_strategy.split(",")) - {""} if field else set()


def without_directives(value: Any) -> Any:
    """What is new is taken from the patch as it is, less nulls and directives."""
    if isinstance(value, list):
        return [without_directives(v) for v in value if not (isinstance(v, dict) and DIRECTIVE in v)]
    if not isinstance(value, dict):
        return value
    if value.get(DIRECTIVE) == "delete":
        return {}
    return {k: without_directives(v) for k, v in value.items() if v is not None and not k.startswith("$")}


def _directed(original: Object, patch: Object, directive: Any, api_type: ApiType | None) -> Object:
    rest = {key: value for key, value in patch.items() if key != DIRECTIVE}
    match directive:
        case "replace":
            return rest
        case "delete":
            return {}
        case "merge":
            return merge_map(original, rest, api_type)
    raise PatchFailure(f"unknown patch type: {go_value(directive)} in map: {go_value(patch)}")


def _retained(original: Object, patch: Object) -> Object:
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(original)
    listed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    keys = frozenset(keys) if listed else keys
    if not listed or any(k not in keys for k, v in patch.items() if v is not None and not k.startswith("$")):
        raise BadPatch(BAD_RETAIN_KEYS)
    return {key: value for key, value in original.items() if key in keys}


def _without_primitives(result: Object, patch: Object) -> Object:
    for key, removed in patch.items():
        if key.startswith(DELETE_PRIMITIVES):
            if not isinstance(removed, list):
                raise BadPatch(BAD_PRIMITIVE_LIST)
            field = key.removeprefix(DELETE_PRIMITIVES)
            if isinstance(result.get(field), list):
                gone = positions(removed)
                result[field] = [v for v in result[field] if hashable(v) not in gone]
    return result


def _merge_field(result: Object, key: str, value: Any, field: Field | None) -> None:
    if value is None:
        result.pop(key, None)
    elif key not in result or not _mergeable(result[key], value):
        result[key] = without_directives(value)
    elif isinstance(value, dict):
        if "replace" in strategies(field):
            result[key] = without_directives(value)
        else:
            result[key] = merge_map(result[key], value, field.type if field else None)
    elif "merge" in strategies(field):
        assert field is not None  # it has strategies
        result[key] = merge_list(result[key], value, field)
    else:
        result[key] = value


def _mergeable(current: Any, value: Any) -> bool:
    both = (type(current), type(value))
    return both in ((dict, dict), (list, list))


def _order_field(result: Object, patch: Object, key: str, api_type: ApiType | None) -> str:
    """Merge the list that `$setElementOrder/FIELD` speaks of and put it into that order; returns FIELD."""
    name = key.removeprefix(ELEMENT_ORDER)
    order = patch[key]
    if not isinstance(order, list):
        raise BadPatch(BAD_ORDER_LIST)
    field = field_of(api_type, name)
    current, change = result.get(name), patch.get(name)
    if name in patch and change is None:
        result.pop(name, None)
        return name
    if current is None and change is None:
        return name
    for value in (current, change):
        if value is not None and not isinstance(value, list):
            raise PatchFailure(f"expected a []interface {{}}, but received a {go_type(value)}")
    result[name] = enforce_order(current, change, order, field)
    return name


def merge_list(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    """A list of strategy `merge`. New elements come first unless the stored order says otherwise."""
    if not holds_maps(original, patch):
        merged = unique([*original, *patch])
        return ordered(merged, patch, original, itself)
    identity = by_key(field.patch_merge_key)
    original, patch = _apply_directives(original, patch, identity)
    merged = _merge_elements(original, patch, identity, field.type.item)
    return ordered(merged, patch, original, identity)


def enforce_order(
    current: list[Any] | None, change: list[Any] | None, order: list[Any], field: Field | None
) -> list[Any]:
    """`$setElementOrder`: the merged list in the given order, elements that it does not name between them."""
    identity = (
        by_key(field.patch_merge_key) if field and holds_maps(current or [], change or [], order) else itself
    )
    if change is not None:
        check_order(change, order, identity)
    if current is None:
        merged = without_directives(change)
    elif change is None:
        merged = current
    elif field and "merge" in strategies(field):
        merged = merge_list(current, change, field)
    else:
        merged = change
    return ordered(merged, order, current or [], identity)


def _apply_directives(
    original: list[Any], patch: list[Any], identity: Identity
) -> tuple[list[Any], list[Any]]:
    """(original less deleted elements, patch less directives); a replace directive empties the patch."""
    plain, gone = [element for element in patch if DIRECTIVE not in element], []
    for element in patch:
        match element.get(DIRECTIVE):
            case None:
                continue
            case "delete":
                gone.append(identity(element))
            case "replace":
                return plain, []
            case "merge":
                raise PatchFailure("merging lists cannot yet be specified in the patch")
            case other:
                raise PatchFailure(f"unknown patch type: {go_value(other)} in map: {go_value(element)}")
    if not gone:
        return original, plain
    deleted = positions(gone)
    return [kept for kept in original if hashable(identity(kept)) not in deleted], plain


def _merge_elements(
    original: list[Any], patch: list[Any], identity: Identity, item: ApiType | None
) -> list[Any]:
    merged = list(original)
    known = positions(identity(element) for element in original)
    for element in patch:
        wanted = hashable(identity(element))
        found = known.get(wanted)
        if found is None:
            known[wanted] = len(merged)
            merged.append(without_directives(element))
        else:
            merged[found] = merge_map(merged[found], element, item)
    return merged
