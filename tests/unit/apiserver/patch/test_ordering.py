"""Orders of merged lists against a naive twin, which looks for every element one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apiserver.patch import strategic
from apiserver.patch.ordering import itself, ordered, unique
from apiserver.schema.types import ApiType, Field, Kind

_VALUES = st.sampled_from(["a", "b", "c", 1, 2, None]) | st.builds(lambda x: {"k": x}, st.sampled_from("xy"))
_LISTS = st.lists(_VALUES, max_size=6)


def _twin_ordered(merged: list[Any], patch: list[Any], server: list[Any]) -> list[Any]:
    named = sorted((e for e in merged if e in patch), key=patch.index)
    others = sorted(
        (e for e in merged if e not in patch),
        key=lambda e: server.index(e) if e in server else len(server),
    )
    result: list[Any] = []
    while named and others:
        known = others[0] in server and named[0] in server
        others_first = known and server.index(others[0]) < server.index(named[0])
        result.append((others if others_first else named).pop(0))
    return result + named + others


@given(_LISTS, _LISTS, _LISTS)
def test_the_order_of_a_merged_list(merged: list[Any], patch: list[Any], server: list[Any]) -> None:
    assert ordered(merged, patch, server, itself) == _twin_ordered(merged, patch, server)


@given(_LISTS)
def test_the_first_of_equals_stays(values: list[Any]) -> None:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    assert unique(values) == kept


_NAMED = st.lists(
    st.builds(lambda n, v: {"name": n, "v": v}, st.sampled_from("abcd"), st.integers(0, 3)), max_size=5
)
_ITEM = ApiType(Kind.STRUCT, fields={name: Field(ApiType(Kind.ANY)) for name in ("name", "v")})
_FIELD = Field(ApiType(Kind.LIST, item=_ITEM), patch_strategy="merge", patch_merge_key="name")


@given(_NAMED, _NAMED, st.sets(st.sampled_from("abcd"), max_size=2))
def test_a_list_merged_by_name(stored: list[Any], patch: list[Any], gone: set[str]) -> None:
    """Every name of either list is there once, with the values of the patch, less the deleted."""
    original = [e for at, e in enumerate(stored) if e["name"] not in [x["name"] for x in stored[:at]]]
    directives = [{"$patch": "delete", "name": name} for name in sorted(gone)]
    merged = strategic.merge_list(original, [*patch, *directives], _FIELD)
    expected = {e["name"]: e["v"] for e in original if e["name"] not in gone} | {
        e["name"]: e["v"] for e in patch
    }
    assert {e["name"]: e["v"] for e in merged} == expected
    assert len(merged) == len(expected)


def test_long_lists_take_no_time_by_the_square() -> None:
    """40,000 elements would take minutes if each were looked for."""
    names = [f"a.example/{number}" for number in range(40_000)]
    document = {"metadata": {"finalizers": names}}
    field = Field(ApiType(Kind.LIST, item=ApiType(Kind.STRING)), patch_strategy="merge")
    meta = ApiType(Kind.STRUCT, fields={"finalizers": field})
    pod = ApiType(Kind.STRUCT, fields={"metadata": Field(meta)})
    patch = {
        "metadata": {
            "finalizers": names[::-1],
            "$setElementOrder/finalizers": names[::-1],
            "$deleteFromPrimitiveList/finalizers": names[:20_000],
        }
    }
    assert strategic.apply(document, patch, pod)["metadata"]["finalizers"] == names[::-1]
