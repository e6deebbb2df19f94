"""Numbers of schemas as Go compares them."""

from __future__ import annotations

import pytest

from apiserver.crd.numbers import is_multiple


@pytest.mark.parametrize(
    ("value", "factor", "expected"),
    [
        (6, 3, True),
        (7, 3, False),
        (0.3, 0.1, True),
        (0.35, 0.1, False),
        (1e30, 0.1, True),
        (1.5e308, 5e-324, True),
        (10**900 + 1, 10, False),
    ],
)
def test_multiples_of_any_size(value: float, factor: float, expected: bool) -> None:
    assert is_multiple(value, factor) is expected
