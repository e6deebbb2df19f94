"""(P) Named formats, as Kubernetes' library: ``format.dns1123Label().validate(text)`` is none, or the reasons."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from apiserver.api import names
from apiserver.cel.library.function import Function, function, traversal
from apiserver.cel.library.times import parse_timestamp
from apiserver.cel.library.urls import parse_url
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import NONE, Opaque, Optional

Check = Callable[[str], list[str]]
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Format(Opaque):
    type_name = "kubernetes.NamedFormat"

    name: str

    def validate(self, text: str) -> Optional:
        found = _CHECKS[self.name](text)
        return Optional(True, found) if found else NONE


def _prefix(check: Check) -> Check:
    """Of names that something is appended to: the last dash may be followed by it."""
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _uri(text: str) -> list[str]:
    try:
        parse_url(text)
    except EvaluationError as exc:
        return [str(exc).partition(": ")[2]]
    return []


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    try:
        date.fromisoformat(text)
    except ValueError:
        return ["invalid date"]
    return [] if len(text) == 10 else ["invalid date"]


def _date_time(text: str) -> list[str]:
    try:
        parse_timestamp(text)
    except EvaluationError:
        return ["invalid datetime"]
    return []


_CHECKS: Final[dict[str, Check]] = {
    "dns1123Label": names.check_dns1123_label,
    "dns1123Subdomain": names.check_dns1123_subdomain,
    "dns1035Label": names.check_dns1035_label,
    "qualifiedName": names.check_qualified_name,
    "dns1123LabelPrefix": _prefix(names.check_dns1123_label),
    "dns1123SubdomainPrefix": _prefix(names.check_dns1123_subdomain),
    "dns1035LabelPrefix": _prefix(names.check_dns1035_label),
    "labelValue": names.check_label_value,
    "uri": _uri,
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _date_time,
}


def _named(name: str) -> Optional:
    return Optional(True, Format(name)) if name in _CHECKS else NONE


def _constant(name: str) -> Callable[[], Format]:
    return lambda: Format(name)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("format::named(string) -> optional(kubernetes_format)", _named),
    *(function(f"format::{name}() -> kubernetes_format", _constant(name)) for name in _CHECKS),
    function("kubernetes_format.validate(string) -> optional(list(string))", Format.validate, traversal),
)
