"""Pruning, defaulting, validation of values, list types, rules: what happens to an object."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path as FilePath
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.api.field_errors import Path
from apiserver.crd.defaulting import drop_nulls, set_defaults
from apiserver.crd.list_types import validate_lists
from apiserver.crd.pruning import prune
from apiserver.crd.rules import Rules
from apiserver.crd.structural import compiled
from apiserver.crd.values import validate

Object = dict[str, Any]
INTEGER = {"type": "integer"}
STRING = {"type": "string"}


def of(**fields: Object) -> Object:
    return {"type": "object", "properties": fields}


def pruned(schema: Object, obj: Object) -> tuple[Object, list[str]]:
    result = deepcopy(obj)
    return result, prune(result, compiled(schema))


def test_pruning() -> None:
    schema = of(
        spec=of(a=INTEGER, list={"type": "array", "items": of(b=INTEGER)}),
        free={
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"n": of(k=INTEGER)},
        },
        map={"type": "object", "additionalProperties": of(v=INTEGER)},
    )
    obj = {
        "kind": "Widget",
        "metadata": {"anything": 1},
        "spec": {"a": 1, "x": 1, "list": [{"b": 1}, {"b": 2, "y": 1}], "kind": "pruned inside"},
        "free": {"any": {"thing": 1}, "n": {"k": 1, "gone": 1}},
        "map": {"one": {"v": 1, "w": 2}},
        "extra": {},
    }
    result, unknown = pruned(schema, obj)
    assert unknown == ["extra", "free.n.gone", "map.one.w", "spec.kind", "spec.list[1].y", "spec.x"]
    assert result == {
        "kind": "Widget",
        "metadata": {"anything": 1},
        "spec": {"a": 1, "list": [{"b": 1}, {"b": 2}]},
        "free": {"any": {"thing": 1}, "n": {"k": 1}},
        "map": {"one": {"v": 1}},
    }


def test_embedded_resources_keep_what_every_resource_has() -> None:
    inner = {**of(spec=of(a=INTEGER)), "x-kubernetes-embedded-resource": True}
    obj = {
        "template": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": {"a": 1}, "z": 1}
    }
    assert pruned(of(template=inner), obj)[1] == ["template.z"]


def defaulted(schema: Object, obj: Any) -> Any:
    result = deepcopy(obj)
    drop_nulls(result, compiled(schema))
    set_defaults(result, compiled(schema))
    return result


@pytest.mark.parametrize(
    ("schema", "before", "after"),
    [
        (of(a={**INTEGER, "default": 1}), {}, {"a": 1}),
        (of(a={**INTEGER, "default": 1}), {"a": 0}, {"a": 0}),
        (of(a={**INTEGER, "default": 1}), {"a": None}, {"a": 1}),
        (of(a={**INTEGER, "default": 1, "nullable": True}), {"a": None}, {"a": None}),
        (of(a=INTEGER), {"a": None}, {}),
        (of(a={**INTEGER, "nullable": True}), {"a": None}, {"a": None}),
        (of(s=of(a={**INTEGER, "default": 1})), {}, {}),
        (of(s={**of(a={**INTEGER, "default": 1}), "default": {}}), {}, {"s": {"a": 1}}),
        (
            of(l={"type": "array", "items": of(a={**INTEGER, "default": 1})}),
            {"l": [{}, {"a": 2}]},
            {"l": [{"a": 1}, {"a": 2}]},
        ),
        (
            of(m={"type": "object", "additionalProperties": {**INTEGER, "default": 3}}),
            {"m": {"x": None}},
            {"m": {"x": 3}},
        ),
    ],
)
def test_defaults(schema: Object, before: Object, after: Object) -> None:
    assert defaulted(schema, before) == after


SCHEMAS = st.recursive(
    st.sampled_from(
        [INTEGER, {**INTEGER, "default": 7}, {**STRING, "nullable": True}, {**STRING, "default": "d"}]
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(lambda fields: of(**fields)),
        inner.map(lambda item: {"type": "array", "items": item}),
        inner.map(lambda item: {"type": "object", "additionalProperties": item}),
        st.just({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-2, 2), st.text("ab", max_size=2), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), SCHEMAS, max_size=3),
    st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4),
)
def test_pruning_and_defaulting_are_done_once(fields: dict[str, Object], obj: Object) -> None:
    schema = of(**fields)
    once, _ = pruned(schema, obj)
    assert pruned(schema, once) == (once, [])
    filled = defaulted(schema, once)
    assert defaulted(schema, filled) == filled
    assert pruned(schema, filled) == (filled, []), "defaults of a structural schema are pruned already"


def complaints(schema: Object, value: Any, *old: Any) -> list[str]:
    return [error.message() for error in validate(value, compiled(schema), Path(), *old)]


FIELDS = yaml.safe_load((FilePath(__file__).parent / "values.yaml").read_text())


@pytest.mark.parametrize("case", FIELDS, ids=[f"{case['value']!r} {case['schema']}" for case in FIELDS])
def test_values(case: Object) -> None:
    assert complaints(of(a=case["schema"]), {"a": case["value"]}) == case["errors"]


def test_junctors_restrict_what_is_inside() -> None:
    schema = {**of(a=INTEGER, b=INTEGER), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert complaints(schema, {"b": 1}) == []
    assert complaints(schema, {}) == [
        '<nil>: Invalid value: "": "" must validate at least one schema (anyOf)',
        "a: Required value",
    ]


def test_what_was_wrong_before_may_stay() -> None:
    schema = of(a={**INTEGER, "maximum": 1}, b=INTEGER)
    assert complaints(schema, {"a": 5, "b": 1}, {"a": 5, "b": 2}) == []
    assert len(complaints(schema, {"a": 6}, {"a": 5})) == 1
    listed = {"type": "array", "items": of(k=STRING, v={**INTEGER, "maximum": 1})}
    keyed = {**listed, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    old, new = [{"k": "x", "v": 5}], [{"k": "y", "v": 1}, {"k": "x", "v": 5}]
    assert complaints(of(l=keyed), {"l": new}, {"l": old}) == []
    assert len(complaints(of(l=listed), {"l": new}, {"l": old})) == 1


def test_nothing_twice_in_sets_and_maps() -> None:
    schema = compiled(
        of(
            set={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
            map={
                "type": "array",
                "items": of(k=STRING, n={**INTEGER, "default": 1}),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k", "n"],
            },
        )
    )
    value = {"set": ["x", "y", "x"], "map": [{"k": "a"}, {"k": "a", "n": 1}, {"k": "a", "n": 2}]}
    assert [error.message() for error in validate_lists(value, schema, Path())] == [
        'set[2]: Duplicate value: "x"',
        'map[1]: Duplicate value: {"k":"a","n":1}',
    ]
    assert validate_lists({**value, "more": 1}, schema, Path(), value) == []


def ruled(schema: Object, *rules: Object) -> Rules:
    return Rules(compiled({**schema, "x-kubernetes-validations": list(rules)}))


def broken(rules: Rules, new: Any, old: Any = None, **more: Any) -> list[str]:
    return [error.message() for error in rules.validate(new, old, **more)[0]]


def test_rules() -> None:
    rules = ruled(
        of(min=INTEGER, max=INTEGER),
        {"rule": "self.min <= self.max", "message": "min above max"},
        {
            "rule": "self.max < 100",
            "messageExpression": "'%d is too big'.format([self.max])",
            "fieldPath": ".max",
        },
        {"rule": "self.max != 7", "reason": "FieldValueForbidden"},
    )
    assert broken(rules, {"min": 1, "max": 2}) == []
    assert broken(rules, {"min": 300, "max": 200}) == [
        "<nil>: Invalid value: min above max",
        "max: Invalid value: 200 is too big",
    ]
    assert broken(rules, {"min": 1, "max": 7}) == ["<nil>: Forbidden: failed rule: self.max != 7"]
    assert (
        broken(rules, {"min": 1})[0]
        == "<nil>: Invalid value: no such key: max evaluating rule: min above max"
    )


def test_rules_of_transitions() -> None:
    schema = of(a={**STRING, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}]})
    rules = Rules(compiled(schema))
    assert (
        broken(rules, {"a": "x"})
        == broken(rules, {"a": "x"}, {})
        == broken(rules, {"a": "x"}, {"a": "x"})
        == []
    )
    assert broken(rules, {"a": "y"}, {"a": "x"}) == ["a: Invalid value: fixed"]
    optional = ruled(of(a=INTEGER), {"rule": "self.a == oldSelf.?a.orValue(1)", "optionalOldSelf": True})
    assert broken(optional, {"a": 1}) == []
    assert len(broken(optional, {"a": 2})) == 1
    assert broken(optional, {"a": 2}, {"a": 2}) == []


def test_a_rule_that_an_unchanged_part_breaks_is_a_warning() -> None:
    rule = {"rule": "self < 5", "message": "too big"}
    rules = Rules(compiled(of(a={**INTEGER, "x-kubernetes-validations": [rule]}, b=INTEGER)))
    assert rules.validate({"a": 9, "b": 1}, {"a": 9, "b": 2}) == ([], ["a: Invalid value: too big"])
    assert broken(rules, {"a": 8}, {"a": 9}) == ["a: Invalid value: too big"]


def test_rules_see_times_and_whole_numbers_as_what_they_are() -> None:
    schema = of(
        at={**STRING, "format": "date-time"}, for_={**STRING, "format": "duration"}, n={"type": "number"}
    )
    rules = ruled(
        schema, {"rule": "self.at.getFullYear() == 2020 && self.for_ < duration('2h') && self.n < 1.5"}
    )
    assert broken(rules, {"at": "2020-05-01T00:00:00Z", "for_": "90m", "n": 1}) == []


def test_rules_share_a_budget() -> None:
    rules = ruled(
        {"type": "array", "items": INTEGER}, {"rule": "self.all(x, x > 0)"}, {"rule": "self.size() > 0"}
    )
    text = "validation failed due to running out of cost budget, no further validation rules will be run"
    assert broken(rules, [1] * 1000, budget=1000) == [f"<nil>: Invalid value: {text}"]
