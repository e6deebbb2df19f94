"""YAML with Go's quoting and order."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apiserver.http import go_yaml


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12746", '"12746"'),
        ("2026-01-02T03:04:05Z", '"2026-01-02T03:04:05Z"'),
        ("2026-01-02", '"2026-01-02"'),
        ("yes", '"yes"'),
        ("Off", '"Off"'),
        ("null", '"null"'),
        ("", '""'),
        ("1e3", '"1e3"'),
        ("0x1F", '"0x1F"'),
        ("1_000", '"1_000"'),
        ("12:30", '"12:30"'),
        ("12:70", "12:70"),
        ("=", "="),
        ("100m", "100m"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("a: b", "'a: b'"),
        ("*/5 * * * *", "'*/5 * * * *'"),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\nb", "|-\n  a\n  b"),
        ("tab\tin", '"tab\\tin"'),
        ("a \nb", '"a \\nb"'),
        (5, "5"),
        (True, "true"),
        (None, "null"),
        ({}, "{}"),
        ([], "[]"),
        (1.5, "1.5"),
        (1000000.0, "1e+06"),
        (0.00001, "1e-05"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert go_yaml.dump({"key": value}).decode() == f"key: {text}\n"


def test_keys_come_in_natural_order_and_lists_are_not_indented() -> None:
    document = {"b": [{"x": 1, "name": "n"}], "a10": 1, "a9": 2, "B": 3, "f:x": {".": {}}, "y": 1}
    expected = 'B: 3\na9: 2\na10: 1\nb:\n- name: "n"\n  x: 1\nf:x:\n  .: {}\n"y": 1\n'
    assert go_yaml.dump(document).decode() == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_reader_gets_back_what_was_written(value: Any) -> None:
    assert yaml.safe_load(go_yaml.dump({"root": value})) == {"root": value}
