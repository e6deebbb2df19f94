"""Tables and sizes as etcdctl prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Bordered; heads in capitals and centred, cells to the right if they are numbers."""
    heads = [text.upper() for text in head]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [border, _line([text.center(width) for text, width in zip(heads, widths, strict=True)]), border]
    lines += [_line([_cell(text, width) for text, width in zip(row, widths, strict=True)]) for row in rows]
    return "\n".join([*lines, border])


def human_size(size: int) -> str:
    """165130240 -> "165 MB", 1234 -> "1.2 kB", 319488 -> "320 kB": rounded to tenths first, as etcdctl does."""
    unit, scale = 0, 1
    while size >= 1000 * scale and unit < len(_UNITS) - 1:
        unit, scale = unit + 1, scale * 1000
    tenths = math.floor(size / scale * 10 + 0.5) / 10
    text = f"{tenths:.1f}" if unit and tenths < 10 else f"{tenths:.0f}"
    return f"{text} {_UNITS[unit]}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str, width: int) -> str:
    return text.rjust(width) if text[:1].isdigit() else text.ljust(width)
