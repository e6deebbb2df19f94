"""IntOrString: a number, a name, or a percentage (``25%``)."""

from __future__ import annotations

import math

from apiserver.api import go_int

IntOrString = int | str


def is_percent(value: IntOrString | None) -> bool:
    return isinstance(value, str) and value.isascii() and value.endswith("%") and value[:-1].isdigit()


def scaled_value(value: IntOrString, total: int, *, round_up: bool) -> int:
    """The number, or the percentage of ``total``; raises ValueError with the original's text."""
    if isinstance(value, int):
        return value
    if not is_percent(value):
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    scaled = percentage(value) * total / 100
    return math.ceil(scaled) if round_up else math.floor(scaled)


def percentage(value: str) -> int:
    """Of a text that `is_percent`."""
    return go_int.integer(value[:-1])
