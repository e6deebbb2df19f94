"""Cells of table rows, kind by kind, as ``pkg/printers/internalversion`` prints them. Pure: the moment is passed in.

A kind without a printer of its own gets its name, its age, and ``<none>`` where a column has no obvious source.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apiserver.api.gvk import GroupVersionKind
from apiserver.http.printers.common import age
from apiserver.http.printers.pods import ended
from apiserver.http.printers.table import PRINTERS

Object = dict[str, Any]
Cells = list[Any]
Printer = Callable[[Object, datetime], Cells]


def printer(gvk: GroupVersionKind, columns: list[list[Any]]) -> Printer:
    own = PRINTERS.get((gvk.group, gvk.kind))
    return own if own is not None else lambda obj, now: _generic(obj, columns, now)


def row_conditions(gvk: GroupVersionKind, obj: Object) -> list[Object]:
    """What a row says of its object beside the cells."""
    return ended(obj) if (gvk.group, gvk.kind) == ("", "Pod") else []


def _generic(obj: Object, columns: list[list[Any]], now: datetime) -> Cells:
    metadata = obj.get("metadata") or {}
    cells: Cells = []
    for name, *_ in columns:
        if name == "Name":
            cells.append(metadata.get("name", ""))
        elif name == "Age":
            cells.append(age(metadata.get("creationTimestamp"), now))
        elif name == "Created At":
            cells.append(metadata.get("creationTimestamp"))
        else:
            cells.append("<none>")
    return cells
