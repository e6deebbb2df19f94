"""Sets of paths in the form of fieldsV1, against sets of tuples."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.patch.apply import elements, fieldset
from apiserver.patch.apply.fieldset import FieldSet, of_paths, paths

Path = tuple[str, ...]
_ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"a"}', 'k:{"name":"b"}', 'v:"a"', "v:1"])
_PATHS = st.lists(_ELEMENTS, min_size=1, max_size=3).map(tuple)
SETS = st.frozensets(_PATHS, max_size=8)


def members(fields: FieldSet) -> frozenset[Path]:
    found = list(paths(fields))
    assert len(found) == len(set(found))
    return frozenset(found)


def is_canonical(node: FieldSet, root: bool = True) -> bool:
    """No node without members, none that says of itself what is clear."""
    if set(node) == {fieldset.SELF} or (root and fieldset.SELF in node):
        return False
    return all(not inner or is_canonical(inner, False) for inner in node.values())


@given(SETS, SETS)
def test_operations_are_those_of_sets(left: frozenset[Path], right: frozenset[Path]) -> None:
    a, b = of_paths(*left), of_paths(*right)
    for result, expected in (
        (fieldset.union(a, b), left | right),
        (fieldset.intersection(a, b), left & right),
        (fieldset.difference(a, b), left - right),
        (
            fieldset.recursive_difference(a, b),
            {path for path in left if not any(path[: len(gone)] == gone for gone in right)},
        ),
    ):
        assert members(result) == expected
        assert is_canonical(result)
    assert (members(a), members(b)) == (left, right), "arguments are left as they are"


@given(SETS, SETS)
def test_what_changes_nothing_returns_its_argument(left: frozenset[Path], right: frozenset[Path]) -> None:
    a = of_paths(*left)
    if not left & right:
        assert fieldset.difference(a, of_paths(*right)) is a


@given(SETS)
def test_written_and_read_is_the_same(given_paths: frozenset[Path]) -> None:
    fields = of_paths(*given_paths)
    assert fieldset.parse(fieldset.ordered(fields)) == fields
    assert all(fieldset.has(fields, path) == (path in given_paths) for path in [*given_paths, ("f:z",)])


@given(SETS)
def test_keys_are_written_in_order(given_paths: frozenset[Path]) -> None:
    def check(node: FieldSet) -> None:
        inner = [key for key in node if key != fieldset.SELF]
        assert list(node)[len(node) - len(inner) :] == inner == sorted(inner, key=elements.order)
        for below in node.values():
            check(below)

    check(fieldset.ordered(of_paths(*given_paths)))


@given(SETS)
def test_only_keeps_what_a_pattern_names(given_paths: frozenset[Path]) -> None:
    kept = fieldset.only(of_paths(*given_paths), {"f:a": {"*": {"f:b": {}}}})

    def fits(path: Path) -> bool:
        return all(
            step in (wanted, "*") or wanted == "*"
            for step, wanted in zip(path, ("f:a", "*", "f:b"), strict=False)
        )

    assert members(kept) == {path for path in given_paths if fits(path)}


def test_a_member_with_members_below() -> None:
    fields = of_paths(("f:data",), ("f:data", "f:a"), ("f:spec", "f:b"))
    assert fields == {"f:data": {".": {}, "f:a": {}}, "f:spec": {"f:b": {}}}
    assert fieldset.difference(fields, of_paths(("f:data", "f:a"))) == {"f:data": {}, "f:spec": {"f:b": {}}}
    assert fieldset.difference(fields, of_paths(("f:data",)))["f:data"] == {"f:a": {}}


def test_members_of_a_level_come_before_what_is_below_it() -> None:
    fields = of_paths(("f:b",), ("f:a", "f:z"), ("f:a",))
    assert list(paths(fields)) == [("f:a",), ("f:b",), ("f:a", "f:z")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, {}),
        ({"f:a": None}, {"f:a": {}}),
        ({"f:a": {".": {}}}, {"f:a": {}}),
        ({'k:{"b": 1, "a": "x"}': {}}, {'k:{"a":"x","b":1}': {}}),
        ({"v:1.0": {}}, {"v:1": {}}),
        ({"x:later": {"f:a": {}}, "f:b": {}}, {"f:b": {}}),
        ({"f:a": {"x:later": {}}}, {"f:a": {}}),
        ({'v:"<b>"': {}}, {'v:"\\u003cb\\u003e"': {}}),
    ],
    ids=[
        "none",
        "null",
        "only itself",
        "keys in order",
        "one",
        "unknown kind",
        "only unknown",
        "as Go escapes",
    ],
)
def test_sets_of_clients_become_canonical(raw: Any, expected: FieldSet) -> None:
    assert fieldset.parse(raw) == expected


@pytest.mark.parametrize(
    "raw", ["text", {"f": {}}, {"fa": {}}, {"k:{": {}}, {"k:1": {}}, {"i:x": {}}, {"f:a": 1}]
)
def test_what_is_no_set_is_refused(raw: Any) -> None:
    with pytest.raises(fieldset.BadFields):
        fieldset.parse(raw)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:c", 'k:{"name":"x"}', "f:image"), '.c[name="x"].image'),
        (("f:p", 'k:{"port":80,"protocol":"TCP"}'), '.p[port=80,protocol="TCP"]'),
        (("f:t", 'v:"a"'), '.t[="a"]'),
        (("f:l", "i:3"), ".l[3]"),
    ],
)
def test_paths_as_people_see_them(path: Path, text: str) -> None:
    assert elements.path_text(path) == text


def test_order_of_elements() -> None:
    ordered = [
        "f:a",
        "f:b",
        'k:{"a":1}',
        'k:{"a":1,"b":2}',
        'k:{"a":"!"}',
        'k:{"a":"a"}',
        'k:{"b":0}',
        "v:2",
        "v:10",
        'v:"1"',
        "v:false",
        "v:true",
        "i:2",
        "i:10",
    ]
    assert sorted(set(ordered), key=elements.order) == ordered
