"""One way to print a result: what, ours, the real system's figure, and the ratio (above 1 is better)."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """`ours` and `real` are in `unit`; `real` is None where the real system was not measured."""

    what: str
    ours: float
    unit: str
    real: float | None = None
    more_is_better: bool = False

    def ratio(self) -> str:
        if self.real is None:
            return ""
        ratio = self.ours / self.real if self.more_is_better else self.real / self.ours
        return f"{ratio:.2f}x"


def show(title: str, rows: list[Row]) -> None:
    """Print the table to standard output."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for name in ("kuberaft", "real system", "unit", "ratio"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    for row in rows:
        real = "" if row.real is None else _number(row.real)
        table.add_row(row.what, _number(row.ours), real, row.unit, row.ratio())
    Console().print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
