"""(P) Printer columns of custom resources: cells of a Table from JSONPaths.

Source: apiextensions ``pkg/registry/customresource/tableconvertor``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from apiserver.api import codec
from apiserver.crd.jsonpath import BadPath, JsonPath, compiled
from apiserver.http.printers.common import age

Object = dict[str, Any]
_TIME_TEXT: Final = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across separate operations. Clients may not set this value. "
    "It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_NAME_TEXT: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may "
    "allow a client to request the generation of an appropriate name automatically. Name is primarily intended "
    "for creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE: Final = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": _TIME_TEXT,
}
_NAME: Final = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": _NAME_TEXT,
    "priority": 0,
}


class Columns:
    """Of one version; JSONPaths are compiled when the first row is printed."""

    def __init__(self, columns: Sequence[Mapping[str, Any]]) -> None:
        self._columns = list(columns) or [_AGE]
        self._paths: list[JsonPath | None] | None = None

    def definitions(self) -> list[Object]:
        return [dict(_NAME), *(_definition(column) for column in self._columns)]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        if self._paths is None:
            self._paths = [_compiled(column["jsonPath"]) for column in self._columns]
        printed = [
            None if path is None else _cell(path.find(obj), column["type"], now)
            for path, column in zip(self._paths, self._columns, strict=True)
        ]
        return [(obj.get("metadata") or {}).get("name", ""), *printed]


def _compiled(path: str) -> JsonPath | None:
    """None for a path that cannot be read: its cells stay empty."""
    try:
        return compiled(path)
    except BadPath:
        return None


def _definition(column: Mapping[str, Any]) -> Object:
    implied = f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format") or "",
        "description": column.get("description") or implied,
        "priority": column.get("priority") or 0,
    }


def _cell(found: list[Any], kind: str, now: datetime) -> Any:
    if not found or found[0] is None:
        return None
    value = found[0]
    match kind:
        case "string":
            return _text(value)
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _age(value, now) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return codec.dumps(value).decode()


def _age(value: str, now: datetime) -> str:
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"
