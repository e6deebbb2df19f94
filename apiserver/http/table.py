"""Table and PartialObjectMetadata: the server-side form of ``kubectl get``.

Pure but for the age column, which compares with the given moment. Columns come from ``data/table_columns.json``; the
cells of kinds with columns of their own are printed by ``apiserver.http.printers``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apiserver.api.gvk import GroupVersionKind
from apiserver.http.negotiation import Accepted

if TYPE_CHECKING:
    from apiserver.registry.table import ColumnPrinter

_DATA: Final = Path(__file__).parent / "data" / "table_columns.json"
_DEFAULT: Final = [["Name", "string", "name", 0], ["Created At", "date", "", 0]]
Object = dict[str, Any]


@lru_cache(maxsize=1)
def _columns() -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = json.loads(_DATA.read_bytes())
    return found


class _Known:
    """The columns of a built-in kind."""

    def __init__(self, gvk: GroupVersionKind) -> None:
        from apiserver.http.printers import printer

        self._columns = _columns().get(f"{gvk.group_version}/{gvk.kind}", _DEFAULT)
        self._cells = printer(gvk, self._columns)

    def definitions(self) -> list[Object]:
        return [_definition(*column) for column in self._columns]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        return self._cells(obj, now)


def columns_of(gvk: GroupVersionKind, own: ColumnPrinter | None) -> ColumnPrinter:
    """``own``: those of a custom resource."""
    return own or _known(gvk)


@lru_cache(maxsize=512)
def _known(gvk: GroupVersionKind) -> _Known:
    """One for each kind: every event of a watch in this form asks."""
    return _Known(gvk)


def build(
    columns: ColumnPrinter,
    gvk: GroupVersionKind,
    objects: Sequence[Object],
    accepted: Accepted,
    include: str,
    metadata: Object,
    *,
    stored: Sequence[Object] | None = None,
    headers: bool = True,
    now: datetime | None = None,
) -> Object:
    """``include``: None, Metadata or Object; ``metadata``: that of the list, or of the one object.

    ``stored``: the objects in their stored version, which the cells are printed from, where it is another one.
    """
    found = rows(columns, gvk, objects, stored or objects, accepted, include, now or datetime.now(UTC))
    return {**frame(columns, accepted, metadata, headers=headers), "rows": found}


def frame(columns: ColumnPrinter, accepted: Accepted, metadata: Object, *, headers: bool = True) -> Object:
    """A Table without its rows, which come last."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{accepted.version}",
        "metadata": metadata,
        "columnDefinitions": columns.definitions() if headers else None,
    }


def rows(
    columns: ColumnPrinter,
    gvk: GroupVersionKind,
    objects: Sequence[Object],
    stored: Sequence[Object],
    accepted: Accepted,
    include: str,
    now: datetime,
) -> list[Object]:
    from apiserver.http.printers import row_conditions

    found = []
    for obj, printed in zip(objects, stored, strict=True):
        row: Object = {"cells": columns.cells(printed, now)}
        if conditions := row_conditions(gvk, printed):
            row["conditions"] = conditions
        found.append({**row, "object": _included(obj, accepted.version, include)})
    return found


def _definition(name: str, kind: str, form: str, priority: int) -> Object:
    return {"name": name, "type": kind, "format": form, "description": "", "priority": priority}


def _included(obj: Object, version: str, include: str) -> Object | None:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj, version)


def partial(obj: Object, version: str) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }
