"""The parameters of pods/log (P): read as Go converts them, checked as core validation checks PodLogOptions."""

from __future__ import annotations

from typing import Final

from apiserver.api import errors, go_int
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid
from apiserver.api.gvk import GroupKind
from apiserver.api.meta import parse_time
from apiserver.http.subresources.connect_options import Query, flag

_FLAGS: Final = ("follow", "previous", "timestamps")
_NUMBERS: Final = ("sinceSeconds", "tailLines", "limitBytes")
_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"


def kubelet_query(query: Query, pod: str) -> dict[str, str]:
    """What the kubelet is asked. Raises 400 for what cannot be read, 422 for what makes no sense."""
    numbers = {name: _number(query[name]) for name in _NUMBERS if name in query}
    since = query.get("sinceTime") or ""
    if since:
        _check_time(since)
    found = _check(numbers, since, "stream" in query)
    if found:
        raise errors.invalid(GroupKind("", "PodLogOptions"), pod, found)
    asked = {name: "true" for name in _FLAGS if flag(query, name)}
    asked |= {name: str(value) for name, value in numbers.items()}
    return {**asked, "sinceTime": since} if since else asked


def _number(text: str) -> int:
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = go_int.integer(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def _check_time(text: str) -> None:
    try:
        parse_time(text)
    except ValueError as error:
        raise errors.bad_request(
            f'parsing time "{text}" as "{_LAYOUT}": cannot parse "{text}" as "2006"'
        ) from error


def _check(numbers: dict[str, int], since_time: str, has_stream: bool) -> list[FieldError]:
    found: list[FieldError] = []
    if numbers.get("tailLines", 0) < 0:
        found.append(invalid(Path("tailLines"), numbers["tailLines"], "must be greater than or equal to 0"))
    if numbers.get("limitBytes", 1) < 1:
        found.append(invalid(Path("limitBytes"), numbers["limitBytes"], "must be greater than 0"))
    if "sinceSeconds" in numbers and since_time:
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        found.append(forbidden(Path(""), text))
    elif numbers.get("sinceSeconds", 1) < 1:
        found.append(invalid(Path("sinceSeconds"), numbers["sinceSeconds"], "must be greater than 0"))
    if has_stream:
        found.append(forbidden(Path("stream"), "may not be specified"))
    return found
