"""What a restore would do to objects: keys and values in, changes out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.compare import Change, compare, counts, object_of

KEYS = st.sampled_from([b"/registry/pods/a/x", b"/registry/pods/b/x", b"/registry/minions/w1", b"/other"])
STATES = st.dictionaries(KEYS, st.sampled_from([b"1", b"2"]))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"/registry/pods/default/web", ("pods", "default/web")),
        (b"/registry/minions/w1", ("nodes", "w1")),
        (b"/registry/services/specs/default/web", ("services", "default/web")),
        (b"/registry/services/endpoints/default/web", ("endpoints", "default/web")),
        (b"/registry/example.com/widgets/ns/w", ("widgets.example.com", "ns/w")),
        (b"/registry/apiextensions.k8s.io/customresourcedefinitions/x.y",
         ("customresourcedefinitions.apiextensions.k8s.io", "x.y")),
        (b"/registry/alone", ("alone", "")),
        (b"/registry/pods/\xff", ("pods", "\\xff")),
    ],
)  # fmt: skip
def test_objects_are_named_as_users_know_them(key: bytes, expected: tuple[str, str]) -> None:
    assert object_of(key) == expected


def test_changes_are_said_of_the_cluster() -> None:
    backup = {b"/registry/pods/a/old": b"1", b"/registry/pods/a/both": b"1", b"/registry/pods/a/same": b"1"}
    cluster = {b"/registry/pods/a/new": b"1", b"/registry/pods/a/both": b"2", b"/registry/pods/a/same": b"1"}
    found = compare(backup, cluster)
    assert found == [
        Change("change", "pods", "a/both"),
        Change("vanish", "pods", "a/new"),
        Change("return", "pods", "a/old"),
    ]
    assert counts(found) == {"pods": Counter({"change": 1, "vanish": 1, "return": 1})}


@given(STATES, STATES)
def test_one_way_is_the_other_turned_round(one: dict[bytes, bytes], other: dict[bytes, bytes]) -> None:
    turned = {"vanish": "return", "return": "vanish", "change": "change"}
    there = {(turned[kind], resource, name) for kind, resource, name in compare(one, other)}
    assert there == set(compare(other, one))
    assert compare(one, one) == []
