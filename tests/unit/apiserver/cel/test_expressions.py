"""Expressions: what they are worth, what is wrong with them, what they may cost; and a twin by another hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.cel.environment import CALL_LIMIT, Environment
from apiserver.cel.syntax import CompileError, CostExceeded, EvaluationError
from apiserver.cel.types import DOUBLE, DYN, INT, STRING, Type, list_of, map_of, object_of, optional_of
from apiserver.cel.values import NONE, Duration, Optional

PART = object_of("object.parts", {"k": ("k", STRING), "v": ("v", INT)})
SELF = object_of(
    "object",
    {
        "min": ("min", INT),
        "max": ("max", INT),
        "name": ("name", STRING),
        "half": ("half", DOUBLE),
        "foo__dash__bar": ("foo-bar", INT),
        "list": ("list", list_of(INT)),
        "labels": ("labels", map_of(STRING, STRING)),
        "parts": ("parts", list_of(PART)),
    },
)
ENVIRONMENT = Environment({"self": SELF, "any": DYN})
VARIABLES: dict[str, Any] = {
    "self": {
        "min": 1,
        "max": 3,
        "name": "abc",
        "half": 0.5,
        "foo-bar": 7,
        "list": [1, 2, 3],
        "labels": {"a": "b"},
        "parts": [{"k": "x", "v": 1}, {"k": "y"}],
    },
    "any": {"x": 1, "y": "s", "nothing": None},
}


def evaluated(text: str) -> Any:
    return ENVIRONMENT.compile(text).evaluate(VARIABLES)[0]


VALUES: list[tuple[str, Any]] = [
    ("self.min <= self.max", True),
    ("self.foo__dash__bar", 7),
    ("has(self.parts[1].v)", False),
    ("has(self.parts[0].v) && self.parts[0].v == 1", True),
    ("any.missing == 1 || true", True),
    ("true || any.missing == 1", True),
    ("any.missing == 1 && false", False),
    ("self.max > 150 ? 'far too big' : 'too big'", "too big"),
    ("self.list.all(x, x > 0)", True),
    ("self.list.exists(x, x == 2)", True),
    ("self.list.exists_one(x, x > 2)", True),
    ("self.list.map(x, x * 2)", [2, 4, 6]),
    ("self.list.map(x, x > 1, x * 2)", [4, 6]),
    ("self.list.filter(x, x != 2)", [1, 3]),
    ("self.labels.all(key, self.labels[key] == 'b')", True),
    ("[0, 1, 2].all(i, v, i == v)", True),
    ("self.list.transformList(i, v, i * v)", [0, 2, 6]),
    ("{'a': 1}.transformMap(k, v, v + 1)", {"a": 2}),
    ("self.parts.exists(p, p.k == 'x') && self.parts.all(p, !has(p.v) || p.v < 2)", True),
    ("'a' in self.labels && !('z' in self.labels) && 2 in self.list", True),
    ("size(self.name) + self.list.size()", 6),
    ("-7 / 2 == -3 && -7 % 2 == -1", True),
    ("-9223372036854775808", -(2**63)),
    ("1.5 + self.half", 2.0),
    ("1 < 1.5 && 2u > 1", True),
    ("type(1) == int && type('') == string", True),
    ("int('42') + int(3.9)", 45),
    ("string(1.5) + string(true) + string(3u)", "1.5true3"),
    ("'%s has %d of %.2f'.format(['a', 3, 1.0])", "a has 3 of 1.00"),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("['a', 'b'].join('-').upperAscii()", "A-B"),
    ("'hello'.substring(1, 3) + 'abc'.charAt(0) + 'x'.replace('x', 'y')", "elay"),
    ("'abcabc'.indexOf('c') + 'abcabc'.lastIndexOf('c')", 7),
    ("' a '.trim().reverse()", "a"),
    ("self.name.matches('^[a-z]+$') && 'a1b22'.findAll('[0-9]+') == ['1', '22']", True),
    ("optional.of(1).orValue(2) + any.?missing.orValue(3)", 4),
    ("any.?x.hasValue() && !any[?'q'].hasValue()", True),
    ("optional.of(3).optMap(x, x + 1).value()", 4),
    ("[?any.?x, ?any.?q]", [1]),
    ("any.nothing == null && self.name != null", True),
    ("[1, 2, 2].isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1", True),
    ("sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2])", True),
    (
        "quantity('1Gi').isLessThan(quantity('2Gi')) && quantity('1500m').compareTo(quantity('1.5')) == 0",
        True,
    ),
    ("quantity('50k').add(quantity('20k')).asInteger()", 70000),
    ("url('https://a.b:80/c?x=1').getHostname() + url('https://a.b:80/c').getPort()", "a.b80"),
    ("!isURL('not a url') && isIP('::1') && !isIP('1.2.3') && isCIDR('10.0.0.0/8')", True),
    ("cidr('10.0.0.0/8').containsIP('10.1.1.1') && ip('127.0.0.1').isLoopback()", True),
    ("cidr('10.1.0.0/8').masked().ip() == ip('10.0.0.0')", True),
    ("format.named('dns1123Label').value().validate('a').hasValue()", False),
    ("format.dns1123Label().validate('A').hasValue()", True),
    ("semver('1.2.3').isLessThan(semver('1.10.0')) && !isSemver('v1.0') && isSemver('v1.0', true)", True),
    ("semver('1.0.0-rc.1') == semver('1.0.0-rc.1')", True),
    ("timestamp('2020-01-02T03:04:05Z').getDayOfWeek()", 4),
    ("timestamp('2020-01-01T00:00:00Z') + duration('1h') > timestamp('2020-01-01T00:30:00Z')", True),
    ("duration('1h30m').getMinutes()", 90),
    (r"r'\d' + '\u00e9' + '\n' + '''a'b'''", "\\d\u00e9\na'b"),
    ("b'ab'.size()", 2),
    ("self.name // a comment\n + 'd'", "abcd"),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_values(text: str, value: Any) -> None:
    found = evaluated(text)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_values_of_their_own() -> None:
    assert evaluated("optional.none()") == NONE
    assert evaluated("optional.of(1)") == Optional(True, 1)
    assert evaluated("duration('1.5s')") == Duration(1_500_000_000)
    assert evaluated("timestamp('2020-01-01T00:00:00+01:00')") == datetime(2019, 12, 31, 23, tzinfo=UTC)


WRONG = [
    ("self.nope", 5, "undefined field 'nope'"),
    ("nope", 1, "undeclared reference to 'nope' (in container '')"),
    ("nope(1)", 1, "undeclared reference to 'nope' (in container '')"),
    ("self.min == 'a'", 10, "found no matching overload for '_==_' applied to '(int, string)'"),
    ("self.name.size(1)", 15, "found no matching overload for 'size' applied to 'string.(int)'"),
    ("self.min.x", 9, "type 'int' does not support field selection"),
    ("self.min.all(x, true)", 5, "expression of type 'int' cannot be range of a comprehension"),
    ("1 && true", 3, "found no matching overload for '_&&_' applied to '(int, bool)'"),
    ("self +", 7, "Syntax error: unexpected '<EOF>'"),
    ("'open", 1, "Syntax error: token recognition error at: ''open'"),
    ("has(self)", 1, "invalid argument to has() macro"),
    ("9223372036854775808", 1, "invalid int literal"),
]


@pytest.mark.parametrize(("text", "column", "message"), WRONG, ids=[text for text, *_ in WRONG])
def test_what_is_wrong_is_told_with_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        ENVIRONMENT.compile(text)
    assert str(caught.value).startswith(f"ERROR: <input>:1:{column}: {message}")
    assert str(caught.value).endswith(f" | {text}\n | {'.' * (column - 1)}^")


def test_all_errors_are_told() -> None:
    with pytest.raises(CompileError) as caught:
        ENVIRONMENT.compile("self.a == self.b")
    assert [issue.message for issue in caught.value.issues] == ["undefined field 'a'", "undefined field 'b'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("any.missing", "no such key: missing"),
        ("self.list[7]", "index out of bounds: 7"),
        ("self.labels['z']", "no such key: z"),
        ("1 / (self.min - 1)", "division by zero"),
        ("9223372036854775807 + self.min", "integer overflow"),
        ("any.y + 1", "no such overload"),
        ("any.missing == 1 || false", "no such key: missing"),
        ("self.name.matches('(')", "error parsing regexp: missing ): ("),
        ("duration('soon')", 'time: invalid duration "soon"'),
        ("quantity('a lot')", "quantities must match the regular expression"),
        ("optional.none().value()", "optional.none() dereference"),
    ],
)
def test_failures(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluated(text)
    assert str(caught.value).startswith(message)


def test_a_cost_is_bounded() -> None:
    twenty = str([1] * 20)
    text = "d > 0"
    for name in "abcde":
        text = f"{twenty}.all({name}, {text.replace('d', name)})"
    with pytest.raises(CostExceeded):
        evaluated(text)
    program = ENVIRONMENT.compile("self.list.all(x, x > 0)")
    _, cost = program.evaluate(VARIABLES)
    assert 0 < cost < 50
    with pytest.raises(CostExceeded):
        program.evaluate(VARIABLES, cost - 1)


def test_the_caller_may_end_what_takes_too_long() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        raise CostExceeded

    with pytest.raises(CostExceeded):
        ENVIRONMENT.compile(f"{list(range(2000))}.all(x, x >= 0)").evaluate({}, CALL_LIMIT, check)
    assert calls == [1]


@pytest.mark.parametrize(
    "text", ["(" * 500 + "1" + ")" * 500, "1" + "+1" * 2000, "[" * 500, "a" + ".b" * 2000, "x" * 200_000]
)
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(CompileError):
        ENVIRONMENT.compile(text)


def test_variables_that_are_used_are_known() -> None:
    environment = Environment({"self": SELF, "oldSelf": SELF})
    assert environment.compile("oldSelf.min == self.min").variables == {"self", "oldSelf"}
    assert environment.compile("self.list.all(oldSelf, oldSelf > 0)").variables == {"self"}


NUMBERS = st.integers(-100, 100)
INTEGERS = st.recursive(
    NUMBERS.map(lambda n: f"({n})"),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner).map(
        lambda t: f"({t[0]} {t[1]} {t[2]})"
    ),
    max_leaves=8,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.tuples(INTEGERS, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), INTEGERS).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.sampled_from(["true", "false", "[1, 2, 3].exists(x, x > 2)", "'abc'.startsWith('a')"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda c: f"(!{c})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(CONDITIONS)
def test_the_twin_says_the_same(text: str) -> None:
    """`common-expression-language`, in Rust, gives an error where this does, and the same value where it does not."""
    try:
        expected = cel.evaluate(text, {})
    except (ValueError, ArithmeticError, RuntimeError, TypeError):
        with pytest.raises(EvaluationError):
            evaluated(text)
    else:
        assert evaluated(text) is expected


def made(name: str) -> Type | None:
    return object_of(name, {"a": ("a", INT), "b": ("b", DYN)}) if name in ("Thing", "x.y.Thing") else None


MAKING = Environment({"n": INT, "o": optional_of(INT)}, resolve=made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thing{}", {}),
        ("x.y.Thing{a: n + 1, b: [Thing{a: 2}],}", {"a": 2, "b": [{"a": 2}]}),
        ("Thing{?a: o}", {}),
        ("Thing{?a: optional.of(3)}.a", 3),
        ("has(Thing{a: 1}.b) ? 1 : 2", 2),
        ("[Thing{a: 1}, Thing{a: 2}].map(t, t.a)", [1, 2]),
        ("{'k': Thing{b: {'a': 1}}}['k'].b.a", 1),
        ("type(Thing{}) == type(Thing{a: 1}) && type(Thing{}) != type({'a': 1})", True),
    ],
)
def test_values_are_made_by_the_name_of_their_type(text: str, expected: Any) -> None:
    value, cost = MAKING.compile(text).evaluate({"n": 1, "o": NONE})
    assert value == expected
    assert cost >= 40 * text.count("Thing{")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Other{a: 1}", "undeclared reference to 'Other' (in container '')"),
        ("n.Thing{a: 1}", "undeclared reference to 'n.Thing' (in container '')"),
        ("Thing{c: 1}", "undefined field 'c'"),
        ("Thing{a: 'x'}", "expected type of field 'a' is 'int' but provided type is 'string'"),
        ("Thing{'a': 1}", "expecting IDENTIFIER"),
        ("Thing{a: 1", "expecting '}'"),
        ("f(1){a: 1}", "expecting <EOF>"),
    ],
)
def test_values_that_cannot_be_made(text: str, complaint: str) -> None:
    with pytest.raises(CompileError) as refused:
        MAKING.compile(text)
    assert complaint in str(refused.value)
    if text.startswith("Thing{c"):
        with pytest.raises(CompileError, match="undeclared reference to 'Thing'"):
            ENVIRONMENT.compile(text)
