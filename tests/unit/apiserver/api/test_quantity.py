"""Quantities: canonical text, exactness, errors."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.quantity import QuantityError, canonical, parse_quantity

_BASES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("1024Ki", "1Mi"),
        ("0.5Ki", "512"),
        ("2e3", "2e3"),
        ("1.5e3", "1500"),
        ("100m", "100m"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-1.5", "-1500m"),
        ("+3", "3"),
        ("0.0000000001", "1n"),
        (2, "2"),
        (0.25, "250m"),
        (".5", "500m"),
        ("5.", "5"),
    ],
)
def test_canonical_text(text: object, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "quantities must match"),
        ("abc", "quantities must match"),
        ("1 Gi", "quantities must match"),
        ("1..2", "quantities must match"),
        ("Ki", "unable to parse numeric part"),
        ("1KiB", "quantities must match"),
        ("1K", "unable to parse quantity's suffix"),
        ("1ee3", "unable to parse quantity's suffix"),
        (True, "quantities must match"),
    ],
)
def test_refused(text: object, message: str) -> None:
    with pytest.raises(QuantityError, match=message):
        parse_quantity(text)


@given(st.integers(0, 10**9), st.integers(0, 3), st.sampled_from(sorted(_BASES)))
def test_value_is_the_exact_number_rounded_up(number: int, places: int, suffix: str) -> None:
    text = (
        f"{number // 10**places}.{number % 10**places:0{places}d}{suffix}" if places else f"{number}{suffix}"
    )
    exact = Fraction(number, 10**places) * Fraction(10) ** _BASES[suffix]
    quantity = parse_quantity(text)
    assert quantity.value() == -(-exact.numerator // exact.denominator)
    assert parse_quantity(str(quantity)) == quantity


def test_arithmetic_keeps_the_format_of_the_first_non_zero_operand() -> None:
    assert str(parse_quantity("0") + parse_quantity("1Gi")) == "1Gi"
    assert str(parse_quantity("1Gi") + parse_quantity("1Gi")) == "2Gi"
    assert str(parse_quantity("1") - parse_quantity("250m")) == "750m"
    assert parse_quantity("1k") == parse_quantity("1000")
    assert parse_quantity("999m") < parse_quantity("1")
