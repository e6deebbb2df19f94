"""The small grammars of requests against naive twins: quantities, selectors, versions, continue tokens."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apiserver.api import go_int
from apiserver.api.errors import StatusError
from apiserver.api.fields import (
    FieldRequirement,
    FieldSelector,
    FieldSelectorError,
    escape,
    parse_field_selector,
)
from apiserver.api.labels import Requirement, Selector, SelectorError, parse_selector
from apiserver.api.quantity import QuantityError, parse_quantity
from apiserver.http import continue_token, options

# -- numbers

_SIGNED = re.compile(r"[+-]?[0-9]+")


@given(st.from_regex(r"[+-]?0{0,3}[0-9]{1,25}", fullmatch=True))
def test_long_numbers_keep_their_place(text: str) -> None:
    """Within 64 bits exactly, beyond them on the same side of every limit."""
    exact, found = int(text), go_int.integer(text)
    assert found == exact or (abs(exact) >= 2**64 and abs(found) >= 2**64 and (found > 0) == (exact > 0))


@pytest.mark.parametrize("sign", ["", "-", "+"])
def test_numbers_that_python_refuses(sign: str) -> None:
    assert go_int.integer(sign + "9" * 10_000) == (-go_int.BEYOND if sign == "-" else go_int.BEYOND)
    assert go_int.integer(sign + "0" * 10_000 + "7") == (-7 if sign == "-" else 7)


def _twin_integer(text: str) -> int | None:
    if _SIGNED.fullmatch(text) is None:
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


_NUMBERS = st.from_regex(r"[+-]?[0-9]{0,22}", fullmatch=True) | st.text(max_size=6)


@given(_NUMBERS.filter(bool))
def test_integer_parameters(text: str) -> None:
    try:
        found: int | None = options.integer(text)
    except StatusError:
        found = None
    assert found == _twin_integer(text)


@given(_NUMBERS.filter(bool))
def test_resource_versions(text: str) -> None:
    wanted = int(text) if re.fullmatch(r"[0-9]+", text) and int(text) < 2**64 else None
    try:
        found: int | None = options.revision(text)
    except StatusError:
        found = None
    assert found == wanted


# -- continue tokens

_PREFIX = "/registry/pods/"
_KEYS = st.text(min_size=1, max_size=20).filter(lambda k: not k.startswith("/") and ".." not in k.split("/"))


@given(_KEYS, st.integers(-1, 2**63 - 1).filter(bool))
def test_a_continue_token_says_what_it_was_made_of(key: str, revision: int) -> None:
    assert continue_token.decode(continue_token.encode(_PREFIX + key, _PREFIX, revision), _PREFIX) == (
        _PREFIX + key,
        revision,
    )


@given(st.text(max_size=30) | st.binary(max_size=30).map(lambda b: b.hex()))
def test_no_other_text_is_a_continue_token(text: str) -> None:
    with pytest.raises(StatusError) as refused:
        continue_token.decode(text, _PREFIX)
    assert refused.value.code == 400


# -- quantities

_SUFFIXES = {
    **{"n": (10, -9), "u": (10, -6), "m": (10, -3), "": (10, 0), "k": (10, 3), "M": (10, 6), "G": (10, 9)},
    **{"T": (10, 12), "P": (10, 15), "E": (10, 18), "Ki": (1024, 1), "Mi": (1024, 2), "Gi": (1024, 3)},
    **{"Ti": (1024, 4), "Pi": (1024, 5), "Ei": (1024, 6)},
}
_QUANTITY = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([a-zA-Z]{0,2}|[eE][+-]?[0-9]+)")
_MOST = 2**63 - 1


def _twin_nano(text: str) -> int | None:
    """Nano-units, rounded away from zero; None for what is no quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None or not ((found[2] or "") + (found[3] or "")):
        return None
    suffix = found[4]
    exponential = suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei"
    if exponential and not re.fullmatch(r"[eE][+-]?[0-9]+", suffix):
        return None
    if not exponential and suffix not in _SUFFIXES:
        return None
    base, power = (10, int(suffix[1:])) if exponential else _SUFFIXES[suffix]
    digits = Fraction(int((found[2] or "") + (found[3] or "")), 10 ** len(found[3] or ""))
    exact = digits * Fraction(base) ** power * 10**9
    nano = -(-exact.numerator // exact.denominator)
    nano = min(nano, _MOST * 10**9) if base == 1024 else nano
    return -nano if found[1] == "-" else nano


_TEXTS = st.from_regex(
    r"[+-]?[0-9]{0,12}(\.[0-9]{0,12})?([numkKMGTPEie]{0,2}|[eE][+-]?[0-9]{1,2})", fullmatch=True
)


@given(_TEXTS)
def test_quantities_agree_with_exact_arithmetic(text: str) -> None:
    try:
        found: int | None = parse_quantity(text).nano
    except QuantityError:
        found = None
    assert found == _twin_nano(text)


@given(_TEXTS)
def test_the_canonical_text_of_a_quantity_means_the_same_and_is_its_own(text: str) -> None:
    try:
        quantity = parse_quantity(text)
    except QuantityError:
        return
    again = parse_quantity(str(quantity))
    assert (again, str(again)) == (quantity, str(quantity))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-9Ei", "-9223372036854775807"), ("-0.0001Ki", "-102400u"), ("9Ei", "9223372036854775807")],
)
def test_quantities_at_the_limits(text: str, expected: str) -> None:
    assert str(parse_quantity(text)) == expected


def test_a_quantity_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(QuantityError):
        parse_quantity("9" * 5000)


# -- label selectors

_WORD = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,4}[A-Za-z0-9])?", fullmatch=True)
_VALUE = st.just("") | _WORD
_SPACE = st.sampled_from(["", " ", "\t", " \n"])


@st.composite
def requirements(draw: st.DrawFn) -> tuple[str, Requirement]:
    """(text, what it means)"""
    key = draw(_WORD | st.builds("{}.example/{}".format, st.from_regex(r"[a-z]{1,4}", fullmatch=True), _WORD))
    operator = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"]))
    a, b, c = draw(_SPACE), draw(_SPACE), draw(_SPACE)
    if operator == "exists":
        return f"{a}{key}{b}", Requirement(key, operator)
    if operator == "!":
        return f"{a}!{b}{key}{c}", Requirement(key, operator)
    if operator in ("in", "notin"):
        values = draw(st.lists(_WORD, min_size=1, max_size=3))
        return f"{a}{key} {operator} {b}({c}{','.join(values)})", Requirement(
            key, operator, frozenset(values)
        )
    if operator in ("gt", "lt"):
        value = str(draw(st.integers(0, 20)))
        return f"{a}{key}{b}{'>' if operator == 'gt' else '<'}{c}{value}", Requirement(
            key, operator, frozenset([value])
        )
    value = draw(_VALUE)
    return f"{a}{key}{b}{operator}{c}{value}", Requirement(key, operator, frozenset([value]))


@given(st.lists(requirements(), max_size=4))
def test_label_selectors_say_what_they_were_made_of(made: list[tuple[str, Requirement]]) -> None:
    found = parse_selector(",".join(text for text, _ in made))
    meant = Selector(tuple(sorted((meaning for _, meaning in made), key=lambda r: r.key)))
    assert found == meant
    assert parse_selector(str(found)) == found


def _holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    """By the words of the documentation."""
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "exists":
            return key in labels
        case "!":
            return key not in labels
        case "in" | "=" | "==":
            return key in labels and labels[key] in values
        case "notin" | "!=":
            return not (key in labels and labels[key] in values)
    if key not in labels or _SIGNED.fullmatch(labels[key]) is None:
        return False
    have, want = int(labels[key]), int(next(iter(values)))
    return have > want if requirement.operator == "gt" else have < want


_LABELS = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from(["", "x", "y", "1", "12", "-3"]), max_size=3
)


@given(
    st.lists(
        st.builds(
            lambda key, operator, values: Requirement(
                key, operator, frozenset(values if operator in ("in", "notin") else values[:1])
            ),
            st.sampled_from("abc"),
            st.sampled_from(["in", "notin", "=", "!=", "exists", "!"]),
            st.lists(st.sampled_from(["", "x", "y", "1"]), min_size=1, max_size=2),
        )
        | st.builds(
            lambda key, operator, value: Requirement(key, operator, frozenset([value])),
            st.sampled_from("abc"),
            st.sampled_from(["gt", "lt"]),
            st.sampled_from(["0", "5", "12"]),
        ),
        max_size=3,
    ),
    _LABELS,
)
def test_label_selectors_match_as_documented(wanted: list[Requirement], labels: dict[str, str]) -> None:
    assert Selector(tuple(wanted)).matches(labels) == all(_holds(r, labels) for r in wanted)


@given(st.text(alphabet="ab=!(), ><innot", max_size=12))
def test_any_text_is_a_label_selector_or_refused(text: str) -> None:
    try:
        found = parse_selector(text)
    except SelectorError:
        return
    if not any(r.operator in ("in", "notin") and r.values == {""} for r in found.requirements):
        assert parse_selector(str(found)) == found


# -- field selectors

_FIELD = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?", fullmatch=True)
_FIELD_REQUIREMENT = st.builds(FieldRequirement, _FIELD, st.sampled_from(["=", "!="]), st.text(max_size=6))


@given(st.lists(_FIELD_REQUIREMENT, min_size=1, max_size=4))
def test_field_selectors_say_what_they_were_made_of(made: list[FieldRequirement]) -> None:
    text = ",".join(f"{r.field}{r.operator}{escape(r.value)}" for r in made)
    found = parse_field_selector(text)
    assert sorted(found.requirements) == sorted(made)
    assert sorted(parse_field_selector(str(found)).requirements) == sorted(found.requirements)


@given(st.lists(_FIELD_REQUIREMENT, max_size=3), st.dictionaries(_FIELD, st.text(max_size=6), max_size=3))
def test_field_selectors_match_as_documented(wanted: list[FieldRequirement], fields: dict[str, str]) -> None:
    """A field that is not there is empty."""
    expected = all((fields.get(r.field, "") == r.value) == (r.operator == "=") for r in wanted)
    assert FieldSelector(tuple(wanted)).matches(fields) == expected


@given(st.text(alphabet="ab=!,\\ ", max_size=12))
@example("=\\,,==\\=")
def test_any_text_is_a_field_selector_or_refused(text: str) -> None:
    """The terms of a text are sorted as they are written, and ``==`` may be written ``=``."""
    try:
        found = parse_field_selector(text)
    except FieldSelectorError:
        return
    assert sorted(parse_field_selector(str(found)).requirements) == sorted(found.requirements)
