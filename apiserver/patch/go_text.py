"""(P) Values as Go's `%v` prints them, for the original's error texts."""

from __future__ import annotations

from typing import Any


def go_value(value: Any) -> str:
    """For example `map[image:e name:zz]`, `[a b]`, `<nil>`."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
        case list():
            return f"[{' '.join(map(go_value, value))}]"
        case _:
            return str(value)


def go_type(value: Any) -> str:
    """The type that Go decodes such a JSON value into, as `%T` prints it."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
    return "[]interface {}"
