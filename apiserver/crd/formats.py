"""(P) The string formats that a schema may demand; formats not listed are not checked.

Source: kube-openapi ``pkg/validation/strfmt``, which follows Go's parsers.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Final
from urllib.parse import urlsplit

_HEX: Final = "[0-9a-f]"
_UUID: Final = rf"{_HEX}{{8}}-?{_HEX}{{4}}-?%s-?%s-?{_HEX}{{12}}"
_ANY4: Final = f"{_HEX}{{4}}"
_VARIANT: Final = f"[89ab]{_HEX}{{3}}"
_CARD: Final = (
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})"
)
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)([.,]\d+)?([Zz]|[+-][0-2]\d:?[0-5]\d)?"
)
_GO_DURATION: Final = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_UNITS: Final = (
    "ns|nano|nanosecond|us|µs|micro|microsecond|ms|milli|millisecond"
    "|s|sec|second|m|min|minute|h|hr|hour|d|day|w|wk|week"
)
_SCALA_DURATION: Final = re.compile(rf"\d+\s*({_UNITS})s?", re.IGNORECASE)
_HOST: Final = re.compile(
    r"([a-zA-Z0-9\u00a0-\U0010ffff]([a-zA-Z0-9\u00a0-\U0010ffff-]{0,61}[a-zA-Z0-9\u00a0-\U0010ffff])?)"
    r"(\.[a-zA-Z0-9\u00a0-\U0010ffff]([a-zA-Z0-9\u00a0-\U0010ffff-]{0,61}[a-zA-Z0-9\u00a0-\U0010ffff])?)*\.?"
)


def _matching(pattern: str, flags: re.RegexFlag = re.IGNORECASE) -> Callable[[str], bool]:
    program = re.compile(pattern, flags)
    return lambda text: program.fullmatch(text) is not None


def _uuid(version: str, variant: str) -> Callable[[str], bool]:
    return _matching(_UUID % (version, variant))


def _uri(text: str) -> bool:
    """``url.ParseRequestURI``: absolute, or a path from the root."""
    if not text or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        return False
    try:
        return bool(urlsplit(text).scheme) or text.startswith("/")
    except ValueError:
        return False


def _ip(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version and "%" not in text
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text and text.rpartition("/")[2].isdigit()


def _date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10 and text[4] == "-"


def date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    return found is not None and _date(found[1])


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _email(text: str) -> bool:
    """The address of ``net/mail``, with or without a name before it."""
    address = text[text.rfind("<") + 1 : -1] if text.endswith(">") and "<" in text else text
    local, at, host = address.rpartition("@")
    return bool(at and local and host) and not any(char.isspace() for char in address)


def _duration(text: str) -> bool:
    return bool(_GO_DURATION.fullmatch(text) or _SCALA_DURATION.fullmatch(text))


def _isbn(length: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        digits = text.replace("-", "").replace(" ", "")
        if len(digits) != length or not digits[:-1].isdigit():
            return False
        if length == 10:
            last = 10 if digits[-1] in "Xx" else int(digits[-1]) if digits[-1].isdigit() else -11
            return (sum((at + 1) * int(digit) for at, digit in enumerate(digits[:9])) + 10 * last) % 11 == 0
        return (
            digits.isdigit() and sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(digits)) % 10 == 0
        )

    return check


def _card(text: str) -> bool:
    return re.fullmatch(_CARD, re.sub(r"\D+", "", text)) is not None


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": _matching(f"{_HEX}{{24}}"),
    "uri": _uri,
    "email": _email,
    "hostname": lambda text: len(text) <= 255 and _HOST.fullmatch(text) is not None,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _cidr,
    "mac": _matching(r"([0-9a-f]{2}[:-]){5,19}[0-9a-f]{2}|([0-9a-f]{4}\.){2,9}[0-9a-f]{4}"),
    "uuid": _uuid(_ANY4, _ANY4),
    "uuid3": _uuid(f"3{_HEX}{{3}}", _ANY4),
    "uuid4": _uuid(f"4{_HEX}{{3}}", _VARIANT),
    "uuid5": _uuid(f"5{_HEX}{{3}}", _VARIANT),
    "isbn": lambda text: _isbn(10)(text) or _isbn(13)(text),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "creditcard": _card,
    "ssn": _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matching(f"#?({_HEX}{{3}}|{_HEX}{{6}})"),
    "rgbcolor": _matching(
        r"rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*(,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*){2}\)"
    ),
    "byte": _base64,
    "date": _date,
    "duration": _duration,
    "datetime": date_time,
    "k8s-short-name": _matching(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.RegexFlag(0)),
    "k8s-long-name": _matching(
        r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.RegexFlag(0)
    ),
}


def fits(name: str, text: str) -> bool:
    """True also for formats that are not known. Names are compared without their dashes, as in the original."""
    check = _CHECKS.get(name) or _CHECKS.get(name.replace("-", ""))
    return check is None or check(text)
