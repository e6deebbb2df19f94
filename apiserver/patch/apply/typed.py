"""(P) Values against their types: whether they fit, which item of a list is which, and what a value mentions.

`validate` is for what an applier sends and speaks the original's words; stored objects were checked when they were
written. `field_set` is what an applier comes to own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from apiserver.api.field_errors import quote
from apiserver.patch.apply import elements
from apiserver.patch.apply.atoms import Atom, Shape, resolve
from apiserver.patch.apply.fieldset import EMPTY, LEAF, SELF, FieldSet, as_member
from apiserver.patch.go_text import go_value

Problem = tuple[str, str]
"""The path as text, and what is wrong there."""


class Untypable(ValueError):
    """A value that does not fit its type; the message lists every place."""


def require(value: Any, atom: Atom) -> None:
    """Raises Untypable."""
    problems = validate(value, atom)
    if problems:
        raise Untypable(problem_text(problems))


def problem_text(problems: list[Problem]) -> str:
    lines = [f"{path}: {message}" if path else message for path, message in problems]
    return lines[0] if len(lines) == 1 else "\n".join(["errors:", *(f"  {line}" for line in lines)])


def validate(value: Any, atom: Atom, path: str = "") -> list[Problem]:
    """What does not fit, in the order of the value."""
    if value is None:
        return []
    atom = resolve(atom, value)
    match atom.shape:
        case Shape.MAP:
            return _validate_map(value, atom, path)
        case Shape.LIST:
            return _validate_list(value, atom, path)
    expected = _scalar_expected(value, atom.scalar)
    return [(path, expected)] if expected else []


def _validate_map(value: Any, atom: Atom, path: str) -> list[Problem]:
    if not isinstance(value, dict):
        return [(path, f"expected map, got &{{{go_value(value)}}}")]
    problems: list[Problem] = []
    for name, inner in value.items():
        child = atom.fields.get(name) or atom.item
        if child is None:
            return [*problems, (f"{path}.{name}", "field not declared in schema")]
        problems += validate(inner, child, f"{path}.{name}")
    return problems


def _validate_list(value: Any, atom: Atom, path: str) -> list[Problem]:
    if not isinstance(value, list):
        return [(path, f"expected list, got &{{{go_value(value)}}}")]
    assert atom.item is not None
    problems: list[Problem] = []
    seen: set[str] = set()
    for at, inner in enumerate(value):
        step = f"[{at}]"
        if not atom.atomic:
            try:
                element = element_of(atom, inner)
            except Untypable as exc:
                return [*problems, (path, f"element {at}: {exc}")]
            step = elements.text(element)
            if element in seen:
                problems.append((path, f"duplicate entries for key {step}"))
            seen.add(element)
        problems += validate(inner, atom.item, path + step)
    return problems


def _scalar_expected(value: Any, scalar: str) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match scalar:
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{go_syntax(value)}}}"
        case "numeric" if not number:
            return f"expected numeric (int or float), got {go_type(value)}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got &{{{go_value(value)}}}"
        case "" if isinstance(value, dict | list):
            return f"expected any scalar, got &{{{go_value(value)}}}"
    return ""


_GO_TYPES: Final = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
}


def go_type(value: Any) -> str:
    """As Go's `%T`."""
    return _GO_TYPES.get(type(value), "<nil>")


def go_syntax(value: Any) -> str:
    """As Go's `%#v`."""
    match value:
        case None:
            return "interface {}(nil)"
        case dict():
            inner = ", ".join(f"{go_syntax(key)}:{go_syntax(value[key])}" for key in sorted(value))
            return f"{go_type(value)}{{{inner}}}"
        case list():
            return f"{go_type(value)}{{{', '.join(map(go_syntax, value))}}}"
        case str():
            return quote(value)
        case bool():
            return "true" if value else "false"
    return str(value)


def element_of(atom: Atom, item: Any) -> str:
    """Which item of a set, or of a list with keys, this is. Raises Untypable."""
    if atom.keys:
        return elements.by_keys(_keys_of(atom, item))
    match item:
        case dict():
            raise Untypable("associative list without keys has an element that's a map type")
        case list():
            raise Untypable("not supported: associative list with lists as elements")
        case None:
            raise Untypable("associative list without keys has an element that's an explicit null")
    return elements.by_value(item)


def _keys_of(atom: Atom, item: Any) -> dict[str, Any]:
    """A key that the item leaves out counts as its default; without one it is no part of the identity."""
    if not isinstance(item, dict):
        kind = "a null element" if item is None else "non-map elements"
        raise Untypable(f"associative list with keys may not have {kind}")
    assert atom.item is not None
    keys: dict[str, Any] = {}
    for name in atom.keys:
        if name in item:
            keys[name] = item[name]
        elif (default := atom.item.child(name).default) is not None:
            keys[name] = default
    if not keys:
        names = " ".join(quote(name) for name in atom.keys)
        raise Untypable(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return keys


def repeated(found: list[str]) -> frozenset[str]:
    """The elements that come more than once; such items are owned together, as one."""
    if len(set(found)) == len(found):
        return frozenset()
    return frozenset(element for element, times in Counter(found).items() if times > 1)


def field_set(value: Any, atom: Atom) -> FieldSet:
    """The paths of every leaf, of every list item and of every key of a map that a value mentions."""
    node = _mentioned(value, atom)
    return {key: inner for key, inner in (node or EMPTY).items() if key != SELF}


def _mentioned(value: Any, atom: Atom) -> FieldSet | None:
    """The node of a value; None if it mentions nothing."""
    atom = resolve(atom, value)
    if atom.shape is Shape.SCALAR or atom.atomic:
        return LEAF
    if atom.shape is Shape.MAP:
        return _mentioned_map(value, atom) if isinstance(value, dict) else None
    return _mentioned_list(value, atom) if isinstance(value, list) else None


def _mentioned_map(value: dict[str, Any], atom: Atom) -> FieldSet | None:
    result: FieldSet = {}
    for name, inner in value.items():
        node = _mentioned(inner, atom.child(name))
        if inner is None or inner == {} or name not in atom.fields:
            node = LEAF if node is None else as_member(node)
        if node is not None:
            result["f:" + name] = node
    return result or None


def _mentioned_list(value: list[Any], atom: Atom) -> FieldSet | None:
    assert atom.item is not None
    found = [element_of(atom, item) for item in value]
    together = repeated(found)
    result: FieldSet = {}
    for element, item in zip(found, value, strict=True):
        node = None if element in together else _mentioned(item, atom.item)
        result[element] = LEAF if node is None else as_member(node)
    return result or None
