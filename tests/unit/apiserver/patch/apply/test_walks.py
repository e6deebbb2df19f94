"""Values against types: what fits, what is mentioned, compared, merged and removed."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.patch.apply.atoms import ANY, Atom, Shape, atom_of, resolve
from apiserver.patch.apply.compare import compare, whole
from apiserver.patch.apply.fieldset import FieldSet, of_paths, paths
from apiserver.patch.apply.merge import merge
from apiserver.patch.apply.reconcile import reconcile
from apiserver.patch.apply.remove import remove, with_named
from apiserver.patch.apply.typed import Untypable, element_of, field_set, require
from apiserver.schema.schemas import Schemas
from apiserver.schema.types import ApiType, Field, Kind
from tests.unit.apiserver.patch.apply.types import ATOM, SPECS, thing

Flat = dict[tuple[str, ...], Any]
A, B, C = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}


def flat(value: Any, atom: Atom, path: tuple[str, ...] = ()) -> Flat:
    """The naive twin: every leaf and every item by its path, containers with the mark of their kind."""
    atom = resolve(atom, value)
    if atom.shape is Shape.SCALAR or atom.atomic or not value:
        return {path: json.dumps(value, sort_keys=True)}
    found: Flat = {path: "container"}
    if atom.shape is Shape.MAP:
        for name, inner in value.items():
            found |= flat(inner, atom.child(name), (*path, "f:" + name))
    else:
        for item in value:
            found |= flat(item, atom.item or ANY, (*path, element_of(atom, item)))
    return found


def members(fields: FieldSet) -> set[tuple[str, ...]]:
    return set(paths(fields))


@given(SPECS, SPECS)
def test_compare_finds_what_its_twin_finds(old: Any, new: Any) -> None:
    before, after = thing(**old), thing(**new)
    changes = compare(before, after, ATOM)
    old_flat, new_flat = flat(before, ATOM), flat(after, ATOM)
    assert members(changes.removed) == set(old_flat) - set(new_flat)
    assert members(changes.added) == set(new_flat) - set(old_flat)
    different = {path for path in set(old_flat) & set(new_flat) if old_flat[path] != new_flat[path]}
    became = {path for path in different if "container" not in (old_flat[path], new_flat[path])}
    assert members(changes.modified) == became, "a container that was empty is told by its items alone"


@given(SPECS, SPECS)
def test_compare_tells_apart_what_differs(old: Any, new: Any) -> None:
    before, after = thing(**old), thing(**new)
    if flat(before, ATOM) == flat(after, ATOM):
        assert compare(before, after, ATOM).is_same


@pytest.mark.parametrize(
    ("old", "new", "removed", "modified", "added"),
    [
        ({"anything": True}, {"anything": 1}, [], [("f:anything",)], []),
        ({"anything": 1}, {"anything": 1.0}, [], [], []),
        ({"anything": {"a": 1}}, {"anything": "x"}, [("f:anything", "f:a")], [("f:anything",)], []),
        ({"anything": [1]}, {"anything": {"a": 1}}, [], [("f:anything",)], [("f:anything", "f:a")]),
        ({"tags": None}, {"tags": ["x"]}, [], [], [("f:tags", 'v:"x"')]),
        ({"selector": {"a": "b"}}, {"selector": {"a": "c"}}, [], [("f:selector",)], []),
        ({"replicas": 1}, {"replicas": 1, "selector": {}}, [], [], [("f:selector",)]),
        ({"tags": ["x", "x"]}, {"tags": ["x"]}, [("f:tags", 'v:"x"')], [], [("f:tags", 'v:"x"')]),
    ],
    ids=[
        "true is not 1",
        "1 is 1.0",
        "map to text",
        "list to map",
        "null to list",
        "atomic",
        "empty",
        "twice",
    ],
)
def test_compare_at_the_edges(old: Any, new: Any, removed: Any, modified: Any, added: Any) -> None:
    changes = compare(thing(**old), thing(**new), ATOM)
    expected = [{("f:spec", *path) for path in found} for found in (removed, modified, added)]
    assert [members(found) for found in changes] == expected


@given(SPECS)
def test_an_empty_object_gains_everything(spec: Any) -> None:
    obj = thing(**spec)
    assert compare({}, obj, ATOM).added == {key: node for key, node in whole(obj, ATOM).items() if key != "."}


@given(SPECS, SPECS)
def test_merge_keeps_and_takes(live: Any, config: Any) -> None:
    before = copy.deepcopy((live, config))
    merged = merge(thing(**live), thing(**config), ATOM)
    assert (live, config) == before, "arguments are left as they are"
    live_flat, wanted, result = flat(thing(**live), ATOM), flat(thing(**config), ATOM), flat(merged, ATOM)
    full = {path for path, mark in live_flat.items() if mark == "container"}
    for path, value in wanted.items():
        if not (path in full and value in ("[]", "{}", "null")):
            assert result[path] == value
    assert set(live_flat) <= set(result) | {path for path in live_flat if live_flat[path] in ("[]", "{}")}
    assert merge(merged, thing(**config), ATOM) == merged


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        ([A, B], [{"name": "b", "image": "2"}], [A, {"name": "b", "image": "2"}]),
        ([A, B], [C], [A, B, C]),
        ([A, B], [B, A], [B, A]),
        ([A, B, C], [C, A], [B, C, A]),
        ([A, A, B], [{"name": "a", "image": "2"}], [{"name": "a", "image": "2"}, B]),
    ],
    ids=[
        "by key",
        "new last",
        "the configuration's order",
        "others keep their place",
        "twice in the live list",
    ],
)
def test_merged_lists(live: Any, config: Any, expected: Any) -> None:
    assert merge(thing(parts=live), thing(parts=config), ATOM)["spec"]["parts"] == expected


def test_a_configuration_replaces_what_is_owned_as_a_whole() -> None:
    merged = merge(thing(args=["a"], selector={"a": "1"}), thing(args=["b"], selector={"b": "1"}), ATOM)
    assert merged["spec"] == {"args": ["b"], "selector": {"b": "1"}}


def test_what_a_value_mentions() -> None:
    obj = thing(
        parts=[{"name": "a", "env": {"X": "1"}}], tags=["t"], args=[], selector={}, ports=[{"port": 80}]
    )
    assert field_set(obj, ATOM)["f:spec"] == {
        "f:parts": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:env": {"f:X": {}}}},
        "f:tags": {'v:"t"': {}},
        "f:args": {},
        "f:selector": {},
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
    }
    assert "f:parts" not in field_set(thing(parts=[]), ATOM).get("f:spec", {})


@given(SPECS, st.data())
def test_removing_takes_away_just_that(spec: Any, data: st.DataObject) -> None:
    obj = thing(**spec)
    everything = flat(obj, ATOM)
    choice = sorted(path for path in everything if path and path[-1] != "f:name")  # a key goes with its item
    gone = data.draw(st.sets(st.sampled_from(choice)))
    rest = remove(obj, of_paths(*gone), ATOM) or {}
    left = set(flat(rest, ATOM)) - {()}
    expected = {path for path in everything if not any(path[: len(g)] == g for g in gone)} - {()}
    assert left <= expected
    assert {path for path in expected if everything[path] != "container"} <= left


def test_a_struct_goes_with_its_last_field() -> None:
    obj = thing(replicas=1)
    fields = of_paths(("f:spec", "f:replicas"))
    assert remove(obj, fields, ATOM)["spec"] is None
    assert "spec" not in remove(obj, with_named(fields, ATOM), ATOM)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replicas": "x"}, ".spec.replicas: expected numeric (int or float), got string"),
        (
            {"args": [{"a": 1}]},
            '.spec.args[0]: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"a":1}}',
        ),
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]'),
        ({"parts": ["a"]}, ".spec.parts: element 0: associative list with keys may not have non-map elements"),
        (
            {"parts": [{"image": "x"}]},
            '.spec.parts: element 0: associative list with keys has an element that omits all key fields ["name"] '
            "(and doesn't have default values for any key fields)",
        ),
        ({"parts": 1, "tags": {"a": 1}}, "errors:\n  .spec.parts: expected list, got &{1}\n"
         "  .spec.tags: expected list, got &{map[a:1]}"),
    ],
    ids=["number", "string", "unknown", "duplicate", "no map", "no key", "several"],
)  # fmt: skip
def test_what_does_not_fit_is_told(spec: Any, message: str) -> None:
    with pytest.raises(Untypable) as failure:
        require(thing(**spec), ATOM)
    assert str(failure.value) == message


def test_without_a_type_maps_are_owned_by_key_and_lists_whole() -> None:
    obj = {"a": {"b": [1, 2], "c": None}, "d": []}
    assert field_set(obj, ANY) == {"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}
    assert compare(obj, {"a": {"b": [1], "c": None}, "d": []}, ANY).modified == {"f:a": {"f:b": {}}}
    require(obj, ANY)


def test_a_struct_may_hold_more_than_it_names() -> None:
    strict = ApiType(Kind.STRUCT, "S", fields={"a": Field(ApiType(Kind.INTEGER, "int64"))})
    loose = replace(strict, preserves_unknown=True, atom=None)
    value = {"a": 1, "b": {"c": [1]}}
    with pytest.raises(Untypable, match=r"\.b: field not declared in schema"):
        require(value, atom_of(strict))
    require(value, atom_of(loose))
    assert field_set(value, atom_of(loose)) == {"f:a": {}, "f:b": {".": {}, "f:c": {}}}


def test_types_that_hold_themselves_are_compiled() -> None:
    schemas = Schemas.load()
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    atom = atom_of(schemas._compile_named(name))
    assert atom.fields["not"].fields["not"].fields is atom.fields


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ([("f:spec", "f:args", 'v:"x"')], [("f:spec", "f:args")]),
        ([("f:spec", "f:selector", "f:a")], [("f:spec", "f:selector")]),
        ([("f:spec", "f:tags")], [("f:spec", "f:tags")]),
        ([("f:spec", "f:anything", "f:a")], [("f:spec", "f:anything", "f:a")]),
    ],
    ids=["list to atomic", "map to atomic", "atomic to set: nothing", "untyped: nothing"],
)
def test_sets_follow_the_schema(recorded: Any, expected: Any) -> None:
    assert members(reconcile(of_paths(*recorded), ATOM)) == set(expected)


@given(SPECS)
def test_a_set_of_today_stays(spec: Any) -> None:
    fields = compare({}, thing(**spec), ATOM).added
    assert reconcile(fields, ATOM) is fields


def test_untyped_objects_are_not_reconciled() -> None:
    fields = of_paths(("f:a", "f:b"))
    assert reconcile(fields, ANY) is fields
    assert atom_of(ApiType(Kind.ANY)) is ANY is atom_of(None)
