"""(P) Strings: the standard functions, cel-go's strings extension, and Kubernetes' regex functions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from apiserver.cel import regexes
from apiserver.cel.library.function import Function, function, search, traversal
from apiserver.cel.library.numbers import double_text
from apiserver.cel.library.times import duration_text, timestamp_text
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Duration, Optional, TypeValue, type_name

_UPPER: Final = {ord(char): char.upper() for char in "abcdefghijklmnopqrstuvwxyz"}
_LOWER: Final = {ord(char): char.lower() for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, wanted: str, start: int = 0) -> int:
    if not 0 <= start <= max(0, len(text) - 1) and start != 0:
        raise EvaluationError(f"index out of range: {start}")
    return text.find(wanted, start)


def _last_index_of(text: str, wanted: str, end: int | None = None) -> int:
    if end is None:
        return text.rfind(wanted)
    if not 0 <= end <= len(text):
        raise EvaluationError(f"index out of range: {end}")
    return text.rfind(wanted, 0, end + len(wanted))


def _substring(text: str, start: int, end: int | None = None) -> str:
    last = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= last <= len(text):
        raise EvaluationError(f"index out of range: {last}")
    if start > last:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {last}")
    return text[start:last]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        parts = list(text)
        return (
            parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
        )
    return text.split(separator) if limit < 0 else text.split(separator, limit - 1)


def _join(items: list[Any], separator: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise EvaluationError("no such overload")
    return separator.join(items)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit if limit >= 0 else -1)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _format(template: str, args: list[Any]) -> str:
    """``"%s is %.2f".format([a, b])``. Raises EvaluationError."""
    parts, at, used = [], 0, 0
    while (mark := template.find("%", at)) >= 0:
        parts.append(template[at:mark])
        at = mark + 1
        if template[at : at + 1] == "%":
            parts.append("%")
            at += 1
            continue
        precision, at = _precision(template, at)
        if at >= len(template):
            raise EvaluationError("unexpected end of string")
        if used >= len(args):
            raise EvaluationError(f"index {used} out of range")
        parts.append(_clause(template[at], args[used], precision))
        used, at = used + 1, at + 1
    return "".join(parts) + template[at:]


def _precision(template: str, at: int) -> tuple[int, int]:
    if template[at : at + 1] != ".":
        return 6, at
    end = at + 1
    while end < len(template) and template[end].isdigit():
        end += 1
    if end == at + 1 or int(template[at + 1 : end]) > 100:
        raise EvaluationError("could not parse formatting clause: precision must be a number up to 100")
    return int(template[at + 1 : end]), end


def _clause(verb: str, value: Any, precision: int) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    real = whole or isinstance(value, float)
    if verb == "s":
        return text_of(value)
    if verb == "d" and whole:
        return str(int(value))
    if verb == "f" and real:
        return f"{value:.{precision}f}"
    if verb == "e" and real:
        return f"{value:.{precision}e}"
    if verb == "b" and (whole or isinstance(value, bool)):
        return format(int(value), "b")
    if verb == "o" and whole:
        return format(value, "o")
    if verb in "xX" and (whole or isinstance(value, str | bytes)):
        if whole:
            return format(value, verb)
        shown = (value.encode() if isinstance(value, str) else value).hex()
        return shown.upper() if verb == "X" else shown
    if verb in "sdfeboxX":
        raise EvaluationError(f"error during formatting: %{verb} cannot be used on {type_name(value)}")
    raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def text_of(value: Any) -> str:
    """As ``%s`` writes it."""
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return double_text(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case datetime():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
        case TypeValue():
            return value.name
        case list():
            return f"[{', '.join(map(text_of, value))}]"
        case dict():
            pairs = sorted((text_of(key), text_of(item)) for key, item in value.items())
            return f"{{{', '.join(f'{key}: {item}' for key, item in pairs)}}}"
        case Optional():
            raise EvaluationError("error during formatting: no such overload")
    return str(value)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("_+_(string, string) -> string", lambda a, b: a + b, traversal),
    function("_+_(bytes, bytes) -> bytes", lambda a, b: a + b, traversal),
    function("string.contains(string) -> bool", lambda text, part: part in text, traversal),
    function("string.startsWith(string) -> bool", lambda text, part: text.startswith(part), traversal),
    function("string.endsWith(string) -> bool", lambda text, part: text.endswith(part), traversal),
    function("string.charAt(int) -> string", _char_at, traversal),
    function("string.indexOf(string) -> int", _index_of, traversal),
    function("string.indexOf(string, int) -> int", _index_of, traversal),
    function("string.lastIndexOf(string) -> int", _last_index_of, traversal),
    function("string.lastIndexOf(string, int) -> int", _last_index_of, traversal),
    function("string.lowerAscii() -> string", lambda text: text.translate(_LOWER), traversal),
    function("string.upperAscii() -> string", lambda text: text.translate(_UPPER), traversal),
    function("string.replace(string, string) -> string", _replace, traversal),
    function("string.replace(string, string, int) -> string", _replace, traversal),
    function("string.split(string) -> list(string)", _split, traversal),
    function("string.split(string, int) -> list(string)", _split, traversal),
    function("string.substring(int) -> string", _substring, traversal),
    function("string.substring(int, int) -> string", _substring, traversal),
    function("string.trim() -> string", lambda text: text.strip(), traversal),
    function("string.reverse() -> string", lambda text: text[::-1], traversal),
    function("string.format(list(dyn)) -> string", _format, traversal),
    function("list(string).join() -> string", _join, traversal),
    function("list(string).join(string) -> string", _join, traversal),
    function("strings::quote(string) -> string", _quote, traversal),
    function("string.find(string) -> string", regexes.find, search),
    function("string.findAll(string) -> list(string)", regexes.find_all, search),
    function("string.findAll(string, int) -> list(string)", regexes.find_all, search),
)
