"""What is refused in a new object, kind by kind, in the original's words (`refusals.yaml`)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.apiserver.kinds.objects import changed, resource_of, table


@pytest.mark.parametrize("row", table("refusals"))
def test_refusals(row: dict[str, Any]) -> None:
    obj = changed(row["kind"], row["change"])
    found = [error.message() for error in resource_of(row["kind"]).strategy.validate(obj)]
    shown = "\n".join(found)
    assert len(found) == len(row["messages"]), shown
    for got, expected in zip(found, row["messages"], strict=True):
        assert got.startswith(expected), shown
