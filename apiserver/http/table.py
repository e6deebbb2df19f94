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


def build(
    gvk: GroupVersionKind,
    objects: Sequence[Object],
    accepted: Accepted,
    include: str,
    metadata: Object,
    *,
    stored: Sequence[Object] | None = None,
    headers: bool = True,
    now: datetime | None = None,
    columns: ColumnPrinter | None = None,
) -> Object:
    """``include``: None, Metadata or Object; ``metadata``: that of the list, or of the one object.
    ``columns``: those of a custom resource.

    ``stored``: the objects in their stored version, which the cells are printed from, where it is another one.
    """
    from apiserver.http.printers import printer, row_conditions

    if columns is None:
        known = _columns().get(f"{gvk.group_version}/{gvk.kind}", _DEFAULT)
        cells, definitions = printer(gvk, known), [_definition(*column) for column in known]
    else:
        cells, definitions = columns.cells, columns.definitions()
    moment = now or datetime.now(UTC)
    rows = []
    for obj, printed in zip(objects, stored or objects, strict=True):
        row: Object = {"cells": cells(printed, moment)}
        if conditions := row_conditions(gvk, printed):
            row["conditions"] = conditions
        rows.append({**row, "object": _included(obj, accepted.version, include)})
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{accepted.version}",
        "metadata": metadata,
        "columnDefinitions": definitions if headers else None,
        "rows": rows,
    }


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
