"""(P) How Go reads flag values: booleans, numbers and durations in every form that etcd accepts.

Used by `flags` for the command line, the environment and the configuration file. Errors are `ValueError`s
with the text of Go's `flag` package, which follows "invalid value ...: ".
"""

from __future__ import annotations

import re

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
UINT_MAX = (1 << 64) - 1
INT_MAX = (1 << 63) - 1
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PARSE_ERROR = "parse error"
RANGE_ERROR = "value out of range"

_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|0[bB][01_]+|[1-9][0-9_]*")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_bool(text: str) -> bool:
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(PARSE_ERROR)


def parse_uint(text: str) -> int:
    """`strconv.ParseUint(text, 0, 64)`: decimal, 0x, 0o or 0, 0b, with underscores."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(PARSE_ERROR)
    digits = text.replace("_", "")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    try:
        value = int(digits, 8) if octal else int(digits, 0)
    except ValueError as error:
        raise ValueError(PARSE_ERROR) from error
    if value > UINT_MAX:
        raise ValueError(RANGE_ERROR)
    return value


def parse_int(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    value = sign * parse_uint(digits)
    if not -INT_MAX - 1 <= value <= INT_MAX:
        raise ValueError(RANGE_ERROR)
    return value


def parse_duration(text: str) -> float:
    """Seconds of `1h30m`, `1.5s`, `-2ms`; 0 needs no unit."""
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    seconds, at = 0.0, 0
    while part := _DURATION_PART.match(rest, at):
        seconds += float(part[1]) * UNITS[part[2]]
        at = part.end()
    if not rest or at != len(rest):
        raise ValueError(PARSE_ERROR)
    return sign * seconds
