"""The estimated cost of rules: the original's figures for schemas without bounds and with one, and what is too dear."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from apiserver.cel.sizes import Declared
from apiserver.crd.cel_sizes import declared
from apiserver.crd.cel_types import cel_type
from apiserver.crd.rules import measure_rule
from apiserver.crd.structural import compiled
from tests.unit.apiserver.crd.definitions import (
    Object,
    about_schema,
    created,
    definition,
    strategy,
    version,
)

STRING: Object = {"type": "string"}
TEXTS = {"duration": "duration", "date": "date", "date-time": "date-time"}
PART: Object = {
    "type": "object",
    "properties": {"required": STRING, "optional": STRING},
    "required": ["required"],
}


def scalar(kind: str) -> Object:
    if kind == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    return {"type": "string", "format": kind} if kind in TEXTS else {"type": kind}


def bounded(schema: Object, name: str, bound: int | None) -> Object:
    return schema if bound is None else {**schema, name: bound}


def array(item: str | Object, bound: int | None) -> Object:
    items = scalar(item) if isinstance(item, str) else item
    return bounded({"type": "array", "items": items}, "maxItems", bound)


def mapping(item: str | Object, bound: int | None) -> Object:
    value = scalar(item) if isinstance(item, str) else item
    return bounded({"type": "object", "additionalProperties": value}, "maxProperties", bound)


def text(bound: int | None) -> Object:
    return bounded(STRING, "maxLength", bound)


def record(bound: int | None) -> Object:
    short = {"before": text(2), "after": text(4)}
    return {"type": "object", "properties": {"str": text(bound), "separator": text(bound), **short}}


def nested(bound: int | None, inner: int | None) -> Object:
    item = bounded(PART, "maxProperties", inner)
    return array(mapping(item, bound), inner)


MAKERS: dict[str, Any] = {
    "text": text,
    "bytes": lambda bound: {**text(bound), "format": "byte"},
    "record": record,
    "texts": lambda bound: array(text(bound), bound),
    "map of texts": lambda bound: mapping(text(bound), bound),
    "all bounded": lambda bound: nested(bound, bound),
    "one bounded": lambda bound: nested(bound, None),
    "lists of numbers": lambda bound: array(array("number", None), bound),
    "maps of numbers": lambda bound: array(mapping("number", None), bound),
    "parts": lambda bound: array(PART, bound),
    "map of parts": lambda bound: mapping(PART, bound),
    "map of maps": lambda bound: mapping(mapping("number", None), bound),
    "map of lists": lambda bound: mapping(array("number", None), bound),
    "enum": lambda bound: {**text(bound), "enum": ["A", "B", "C", "LongValue"]},
}

# (schema, rule, cost without a bound, bound, cost with it), from the original's own table: TestCostEstimation.
COSTS: list[tuple[str, str, int, int, int]] = [
    ("list number", "self.all(x, true)", 4718591, 10, 32),
    ("list string", "self.all(x, true)", 3145727, 20, 62),
    ("list boolean", "self.all(x, true)", 1887437, 5, 17),
    ("lists of numbers", "self.all(x, true)", 3145727, 100, 302),
    ("map number", "self.all(x, true)", 1348169, 10, 32),
    ("map string", "self.all(x, true)", 1179647, 3, 11),
    ("map boolean", "self.all(x, true)", 943718, 100, 302),
    ("text", "self.contains('test')", 314574, 10, 5),
    ("text", "self.startsWith('test')", 2, 15, 2),
    ("text", "self.endsWith('test')", 2, 30, 2),
    ("text", 'size(self + "hello") > size("hello")', 314578, 4, 7),
    ("list number", "self[1] == 0.0", 2, 5000, 2),
    ("list string", "self[1] == self[1]", 314577, 8, 314577),
    ("text", 'self.matches("x")', 314574, 50, 22),
    ("text", '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7),
    ("text", 'self.matches("")', 1, 100, 1),
    ("map of texts", "self.all(x, x.contains(self[x]))", 2752507, 10, 72),
    ("list number", "self[3] == 0.0", 2, 0, 2),
    ("map number", 'self["x"] == 0.0', 2, 0, 2),
    ("text", 'self == "x"', 2, 0, 1),
    ("bytes", 'self == b"x"', 2, 0, 1),
    ("list number", "self.all(x, x == 0.0)", 6291454, 3 * 1024 * 2048, 25165826),
    ("all bounded", 'self.all(x, x["y"].required == "z")', 7340027, 10, 72),
    ("list int-or-string", "self.all(x, true)", 4718591, 10, 32),
    ("list int-or-string", "self[0] == 5", 3, 10, 3),
    ("list boolean", "self[0] == false", 2, 25, 2),
    ("lists of numbers", "self[0][0] == -1.0", 3, 51, 3),
    ("maps of numbers", "self.all(x, x.y == 25.2)", 6291452, 12, 74),
    ("maps of numbers", "self[0].x > 2.0", 4, 3000, 4),
    ("list duration", "self.all(x, true)", 2359295, 5, 17),
    ("list duration", "self[0].getHours() == 2", 4, 525, 4),
    ("list date", "self.all(x, true)", 725936, 15, 47),
    ("list date-time", "self.all(x, true)", 428963, 25, 77),
    ("list date-time", "self[2].getMinutes() == 45", 4, 99, 4),
    ("map int-or-string", "self.all(x, true)", 1348169, 15, 47),
    ("map of parts", "self.all(x, true)", 428963, 20, 62),
    ("map of maps", "self.all(x, true)", 1179647, 10, 32),
    ("map of lists", "self.all(x, true)", 1179647, 25, 77),
    ("map duration", "self.all(x, true)", 1048577, 5, 17),
    ("map date", "self.all(x, true)", 524288, 10, 32),
    ("map date-time", "self.all(x, true)", 349526, 25, 77),
    ("text", "self.find('[0-9]+') == ''", 629147, 10, 11),
    ("texts", "self.join(' ') == 'aa bb'", 329853068905, 10, 43),
    ("texts", "self.isSorted() == true", 329854432052, 10, 52),
    ("record", "self.str.replace(self.before, self.after) == 'does not matter'", 629154, 4, 12),
    ("record", "self.str.split(self.separator) == []", 629160, 10, 22),
    ("text", "self.lowerAscii() == 'lower!'", 314575, 10, 6),
    ("map integer", "oldSelf.size() == self.size()", 5, 10, 5),
    ("map date-time", 'self["a"] == self["b"]', 8, 7, 8),
    ("map duration", 'self["c"] == self["d"]', 8, 42, 8),
    ("enum", "self.contains('A')", 2, 1000, 401),
]


def cost(made: Object, rule: str) -> int:
    schema = compiled(made)
    return measure_rule({"rule": rule}, cel_type(schema), declared(schema) or Declared())[1]


def schema_named(name: str, bound: int | None) -> Object:
    kind, _, item = name.partition(" ")
    if name in MAKERS:
        made: Object = MAKERS[name](bound)
        return made
    return array(item, bound) if kind == "list" else mapping(item, bound)


@pytest.mark.parametrize(("name", "rule", "free", "bound", "held"), COSTS)
def test_what_the_original_estimates(name: str, rule: str, free: int, bound: int, held: int) -> None:
    assert (cost(schema_named(name, None), rule), cost(schema_named(name, bound), rule)) == (free, held)


def test_loops_in_loops_grow_as_the_original_says() -> None:
    numbers = array("number", 10)
    assert cost(numbers, "self.all(x, self.all(y, true))") == 352
    assert cost(numbers, "self.all(x, self.all(y, self.all(z, true)))") == 3552
    assert cost(array("number", None), "self.all(x, self.all(y, true))") > 10_000_000


def test_more_bounds_never_cost_more() -> None:
    for name, rule, free, bound, _ in COSTS:
        if bound < 100:
            assert cost(schema_named(name, bound), rule) <= max(
                free, cost(schema_named(name, bound + 1), rule)
            )


ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


def ruled(schema: Object, rule: str, **more: str) -> Object:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more}]}


def inside(schema: Object) -> Object:
    return {"type": "object", "properties": {"a": schema}}


def test_a_rule_that_is_too_dear() -> None:
    twice = "self.all(x, self.all(y, true))"
    place = "properties[a].x-kubernetes-validations[0].rule: Forbidden: "
    assert about_schema(inside(ruled(array("number", None), twice))) == [
        f"{place}estimated rule cost exceeds budget by factor of more than 100x {ADVICE}",
        f"{place}contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
        ": Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by "
        f"factor of more than 100x {ADVICE}",
    ]
    bounded_once = about_schema(inside(ruled(array("number", 2000), twice)))
    assert bounded_once == [f"{place}estimated rule cost exceeds budget by factor of 1.201000x {ADVICE}"]
    assert about_schema(inside(ruled(array("number", 1000), twice))) == []


def test_a_rule_costs_for_each_of_the_values_that_it_may_be_asked_of() -> None:
    item = ruled(text(10), "self.contains('test')")  # 5
    assert about_schema(inside(array(item, 2_000_000))) == []
    found = about_schema(inside(array(item, 3_000_000)))
    assert found == [
        "properties[a].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor "
        f"of 1.5x {ADVICE}"
    ]
    unbounded = ruled(text(None), "self == 'x'")
    assert about_schema(inside(array(unbounded, None))) == []
    assert about_schema(inside(array(array(item, 10_000), 300))) != []


def test_a_message_that_is_too_dear() -> None:
    """Its numbers become texts of any length."""
    schema = {"type": "object", "properties": {"min": {"type": "integer"}}}
    found = about_schema(ruled(schema, "self.min > 1", messageExpression="'is ' + string(self.min)"))
    assert found[0] == (
        "x-kubernetes-validations[0].messageExpression: Forbidden: estimated messageExpression cost exceeds budget by "
        f"factor of more than 100x {ADVICE}"
    )
    assert about_schema(ruled(schema, "self.min > 1", messageExpression="'is %d'.format([self.min])")) == []


def test_what_was_accepted_once_stays_writable() -> None:
    dear = inside(ruled(array("number", 2000), "self.all(x, self.all(y, true))"))
    old = created(definition(version(schema=dear)))
    assert len(strategy().validate(old)) == 1
    relabelled = deepcopy(old)
    relabelled["metadata"]["labels"] = {"a": "b"}
    assert strategy().validate_update(relabelled, old) == []
    changed = deepcopy(old)
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "new"
    assert len(strategy().validate_update(changed, old)) == 1
