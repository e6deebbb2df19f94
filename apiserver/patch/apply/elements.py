"""(P) One step of a path to a field, as text: `f:name`, `k:{"name":"c"}`, `v:"x"` or `i:0`.

The text is the one that `fieldsV1` carries, in one canonical spelling, so elements compare as strings. Made by
`typed` and `compare` from list items, read from clients by `fieldset`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from apiserver.api.field_errors import quote

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder().decode
_ESCAPES: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
"""Go's encoders write these characters so, inside strings, where alone they occur."""


class BadElement(ValueError):
    """Not an element; the message is the original's."""


def by_keys(keys: dict[str, Any]) -> str:
    """The item of a list of type map. ``keys`` has only what the item says or its type gives as default."""
    return "k:" + compact({name: keys[name] for name in sorted(keys)})


def by_value(value: Any) -> str:
    """An item of a set."""
    return "v:" + compact(value)


def compact(value: Any) -> str:
    """JSON as Go writes it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        value = int(value)
    text = _ENCODE(value).decode()
    for char, escape in _ESCAPES:
        if char in text:
            text = text.replace(char, escape)
    return text


@lru_cache(maxsize=4096)
def canonical(element: str) -> str | None:
    """An element from outside in its one spelling; None for a kind that nobody knows. Raises BadElement."""
    if len(element) < 2:
        raise BadElement("key must be 2 characters long")
    if element[1] != ":":
        raise BadElement(f"missing colon: {element}")
    match element[0]:
        case "f":
            return element
        case "k":
            return by_keys(_keys(element))
        case "v":
            return by_value(_content(element))
        case "i":
            return _index(element)
    return None


def _content(element: str) -> Any:
    try:
        return _DECODE(element[2:].encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        raise BadElement(f"{element}: {exc}") from None


def _keys(element: str) -> dict[str, Any]:
    content = _content(element)
    if not isinstance(content, dict):
        raise BadElement(f"{element}: not a map of keys")
    return content


def _index(element: str) -> str:
    try:
        return f"i:{int(element[2:])}"
    except ValueError:
        raise BadElement(f'strconv.Atoi: parsing "{element[2:]}": invalid syntax') from None


@lru_cache(maxsize=4096)
def order(element: str) -> tuple[Any, ...]:
    """The sort key: fields, then keys, then values, then indexes."""
    match element[0]:
        case "f":
            return (0, element[2:])
        case "k":
            return (1, *((name, value_order(value)) for name, value in sorted(_keys(element).items())))
        case "v":
            return (2, value_order(_content(element)))
    return (3, int(element[2:]))


def value_order(value: Any) -> tuple[Any, ...]:
    """Numbers, strings, booleans, lists, maps, null."""
    match value:
        case bool():
            return (2, value)
        case int() | float():
            return (0, value)
        case str():
            return (1, value)
        case list():
            return (3, *map(value_order, value))
        case dict():
            return (4, *((name, value_order(item)) for name, item in sorted(value.items())))
    return (5,)


def text(element: str) -> str:
    """As people are shown it: `.name`, `[name="c"]`, `[="x"]`, `[0]`."""
    match element[0]:
        case "f":
            return "." + element[2:]
        case "k":
            keys = ",".join(f"{name}={_shown(value)}" for name, value in sorted(_keys(element).items()))
            return f"[{keys}]"
        case "v":
            return f"[={_shown(_content(element))}]"
    return f"[{element[2:]}]"


def path_text(path: tuple[str, ...]) -> str:
    return "".join(map(text, path))


def _shown(value: Any) -> str:
    return quote(value) if isinstance(value, str) else compact(value)
