"""(P) Numbers as Go compares and prints them."""

from __future__ import annotations

from decimal import Context, Decimal


def is_integer(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()


_EXACT = Context(prec=2000)
"""Of quotients: the largest float by the smallest has 632 digits, and a number from outside at most a thousand."""


def is_multiple(value: float, factor: float) -> bool:
    return _EXACT.remainder(_decimal(value), _decimal(factor)) == 0


def _decimal(value: float) -> Decimal:
    """A float as it is written, not as it is stored: 0.1 is a tenth."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def go_number(limit: float, value: float) -> str:
    """A limit as it is shown for ``value``: as an integer beside integers, else as ``%v`` of a float."""
    if isinstance(value, int) and is_integer(limit):
        return str(int(limit))
    return go_float(float(limit))


def go_float(value: float) -> str:
    """``%v``: the shortest form, with an exponent below -4 and from 21 digits on."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text
    sign, digits = exponent[0], exponent.lstrip("+-")
    return f"{mantissa.removesuffix('.0')}e{sign if sign == '-' else '+'}{digits.zfill(2)}"
