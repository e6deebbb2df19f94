"""JSONPaths, printer columns, selectable fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.crd.columns import Columns
from apiserver.crd.field_paths import PathError, field_path
from apiserver.crd.jsonpath import BadPath, compiled
from apiserver.crd.structural import compiled as compiled_schema

OBJECT = {
    "metadata": {"name": "w", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"a.b/c": "x"}},
    "spec": {"size": 3, "tags": ["a", "b", "c"], "on": True, "deep": {"er": {"size": 4}}},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "n": 1},
            {"type": "Old", "status": "False", "n": 5},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        ("{.spec.size}", [3]),
        ("$.spec.size", [3]),
        (".spec.tags[0]", ["a"]),
        (".spec.tags[-1]", ["c"]),
        (".spec.tags[1:]", ["b", "c"]),
        (".spec.tags[0,2]", ["a", "c"]),
        (".spec.tags[*]", ["a", "b", "c"]),
        (".spec['size']", [3]),
        (r".metadata.annotations.a\.b/c", ["x"]),
        (".metadata.annotations['a.b/c']", ["x"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        (".status.conditions[?(@.n > 2)].type", ["Old"]),
        (".status.conditions[?(@.missing)].type", []),
        (".spec..size", [3, 4]),
        (".nothing.at.all", []),
        (".spec.tags[7]", []),
        (".spec.size.more", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert compiled(path).find(OBJECT) == found


@pytest.mark.parametrize("path", [".spec.tags[", ".a[x]", ".a[?(@.b==c)]", ".a[0:1:0]", ".a" * 2000])
def test_bad_paths(path: str) -> None:
    with pytest.raises(BadPath):
        compiled(path)


def test_columns() -> None:
    given = [
        ("Size", "integer", ".spec.size"),
        ("On", "boolean", ".spec.on"),
        ("Tags", "string", ".spec.tags"),
        ("Wrong", "integer", ".spec.tags"),
        ("Bad", "string", ".spec.tags["),
        ("None", "string", ".spec.none"),
        ("Age", "date", ".metadata.creationTimestamp"),
        ("Odd", "date", ".metadata.name"),
    ]
    columns = Columns([{"name": n, "type": t, "jsonPath": p} for n, t, p in given])
    cells = columns.cells(OBJECT, datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
    assert cells == ["w", 3, True, '["a","b","c"]', None, None, None, "5m", "<invalid>"]
    name, size, *_ = columns.definitions()
    assert (name["name"], name["format"]) == ("Name", "name")
    assert size["description"] == "Custom resource definition column (in JSONPath format): .spec.size"


def test_without_columns_there_is_the_age() -> None:
    assert [column["name"] for column in Columns([]).definitions()] == ["Name", "Age"]


def test_paths_to_fields() -> None:
    schema = compiled_schema(
        {
            "type": "object",
            "properties": {
                "a.b": {"type": "string"},
                "m": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        }
    )
    assert str(field_path("['a.b']", schema).path) == "a.b"
    assert str(field_path(".m.x", schema).path) == "m[x]"
    for text, reason in (
        (".x", "does not refer to a valid field"),
        ("m", "expected [ or . but got: m"),
        (".", "unexpected end of JSON path"),
        ("[m]", "expected single quoted string but got m"),
        ("['m'", "unexpected end of JSON path"),
    ):
        with pytest.raises(PathError, match=reason.replace("[", r"\[")):
            field_path(text, schema)
