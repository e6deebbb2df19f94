"""Resource quantities (``500m``, ``1.5Gi``, ``2e3``): exact arithmetic and canonical text.

A value is an integer number of nano-units, the finest the original keeps (finer input is rounded away from
zero), plus the format it was written in, which decides how it prints. Source: apimachinery ``api/resource``.
"""

from __future__ import annotations

from functools import lru_cache, total_ordering
from typing import Any, Final

NANO: Final = 10**9
_MAX_BINARY: Final = (2**63 - 1) * NANO
_MOST_DIGITS: Final = 1000
"""The original's numbers may be longer."""
_SUFFIX_CHARS: Final = frozenset("eEinumkKMGTP")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES: Final = {exponent: name for name, exponent in _DECIMAL.items()}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_NAMES: Final = ("", *_BINARY)

DECIMAL_SI: Final = "DecimalSI"
BINARY_SI: Final = "BinarySI"
DECIMAL_EXPONENT: Final = "DecimalExponent"

FORMAT_WRONG: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
NUMERIC_WRONG: Final = "unable to parse numeric part of quantity"
SUFFIX_WRONG: Final = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """Text that is not a quantity; the message is the original's."""


def _ceil_away(numerator: int, denominator: int) -> int:
    """Division rounding away from zero."""
    magnitude = -(-abs(numerator) // denominator)
    return magnitude if numerator >= 0 else -magnitude


@total_ordering
class Quantity:
    __slots__ = ("format", "nano")

    def __init__(self, nano: int, format: str = DECIMAL_SI) -> None:
        self.nano = nano
        self.format = format

    @classmethod
    def of(cls, value: int, format: str = DECIMAL_SI) -> Quantity:
        return cls(value * NANO, format)

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _ceil_away(self.nano, NANO)

    def milli_value(self) -> int:
        return _ceil_away(self.nano, 10**6)

    def is_zero(self) -> bool:
        return self.nano == 0

    def __bool__(self) -> bool:
        return self.nano != 0

    def _joined_format(self, other: Quantity) -> str:
        return other.format if self.nano == 0 else self.format

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self._joined_format(other))

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self._joined_format(other))

    def __neg__(self) -> Quantity:
        return Quantity(-self.nano, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.nano * factor, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __str__(self) -> str:
        if self.nano == 0:
            return "0"
        if self.format == BINARY_SI and abs(self.nano) >= 1024 * NANO and self.nano % NANO == 0:
            return self._binary_text()
        return self._decimal_text()

    def _binary_text(self) -> str:
        number, power = self.nano // NANO, 0
        while number % 1024 == 0 and power < 6:
            number //= 1024
            power += 1
        return f"{number}{_BINARY_NAMES[power]}"

    def _decimal_text(self) -> str:
        number, exponent = self.nano, -9
        while number % 1000 == 0 and exponent < 18:
            number //= 1000
            exponent += 3
        if self.format == DECIMAL_EXPONENT:
            return f"{number}e{exponent}" if exponent else str(number)
        return f"{number}{_DECIMAL_NAMES[exponent]}"


ZERO: Final = Quantity(0)


def _split(text: str) -> tuple[str, str, str]:
    """(digits before the point with sign, digits after it, suffix)."""
    end = len(text)
    at = 1 if text[:1] in ("+", "-") else 0
    start = at
    while at < end and text[at].isascii() and text[at].isdigit():
        at += 1
    whole, fraction = text[start:at], ""
    if at < end and text[at] == ".":
        begin = at = at + 1
        while at < end and text[at].isascii() and text[at].isdigit():
            at += 1
        fraction = text[begin:at]
    sign = "-" if text[0] == "-" else ""
    return sign + whole, fraction, _check_suffix(text, at)


def _check_suffix(text: str, start: int) -> str:
    at, end = start, len(text)
    while at < end and text[at] in _SUFFIX_CHARS:
        at += 1
    if at < end and text[at] in "+-":
        at += 1
    while at < end and text[at].isascii() and text[at].isdigit():
        at += 1
    if at < end:
        raise QuantityError(FORMAT_WRONG)
    return text[start:]


def _interpret_suffix(suffix: str) -> tuple[int, int, str]:
    """(base, exponent, format) of a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return 1024, _BINARY[suffix], BINARY_SI
    if len(suffix) > 1 and suffix[0] in "eE":
        try:
            return 10, int(suffix[1:]), DECIMAL_EXPONENT
        except ValueError:  # also for thousands of digits
            raise QuantityError(SUFFIX_WRONG) from None
    raise QuantityError(SUFFIX_WRONG)


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Quantity:
    if not text:
        raise QuantityError(FORMAT_WRONG)
    whole, fraction, suffix = _split(text)
    base, exponent, format = _interpret_suffix(suffix)
    digits = whole + fraction
    if digits in ("", "-") or len(digits) > _MOST_DIGITS:
        raise QuantityError(NUMERIC_WRONG)
    numerator, denominator = int(digits) * NANO, 10 ** len(fraction)
    if abs(exponent) > 400:
        raise QuantityError(SUFFIX_WRONG)
    if exponent >= 0:
        numerator *= base**exponent
    else:
        denominator *= base**-exponent
    nano = _ceil_away(numerator, denominator)
    if format == BINARY_SI and abs(nano) > _MAX_BINARY:
        nano = _MAX_BINARY if nano > 0 else -_MAX_BINARY
    if format == BINARY_SI and 0 < abs(nano) < NANO:
        format = DECIMAL_SI
    return Quantity(nano, format)


def parse_quantity(value: Any) -> Quantity:
    """From text, a JSON number, None (zero) or a Quantity; raises QuantityError."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, Quantity):
        return value
    if value is None:
        return ZERO
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _parse_text(repr(value))
    raise QuantityError(FORMAT_WRONG)


def canonical(value: Any) -> str:
    """The canonical text of a quantity as the original writes it."""
    return str(parse_quantity(value))
