"""Label selectors: grammar, the original's complaints, matching."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.labels import (
    Selector,
    SelectorError,
    parse_selector,
    selector_from_label_selector,
    selector_from_set,
)

_LABELS = {"app": "web", "tier": "front", "n": "5", "in": "x"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app == web , tier!=back", True),
        ("app in (api, web),tier", True),
        ("app notin (web)", False),
        ("absent notin (web)", True),
        ("!app", False),
        ("!absent", True),
        ("n>4", True),
        ("n<5", False),
        ("app>4", False),
        ("app=", False),
        ("in=x", True),
        ("x in ()", None),
        ("app in (,)", False),
    ],
)
def test_matching(text: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(SelectorError, match="values set can't be empty"):
            parse_selector(text)
        return
    assert parse_selector(text).matches(_LABELS) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (
            "a>x",
            'unable to parse requirement: values[0]: Invalid value: "x": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_complaints(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert str(caught.value) == message


def test_label_selector_objects() -> None:
    assert not selector_from_label_selector(None).matches({})
    assert selector_from_label_selector({}).empty()
    selector = selector_from_label_selector(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}
    )
    assert selector.matches(_LABELS)
    assert not selector.matches({"app": "web"})
    with pytest.raises(SelectorError, match="is not a valid label selector operator"):
        selector_from_label_selector({"matchExpressions": [{"key": "a", "operator": "Like"}]})


_WORD = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@given(st.dictionaries(_WORD, _WORD, max_size=4), st.dictionaries(_WORD, _WORD, max_size=4))
def test_sets_match_like_subsets(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert selector_from_set(wanted).matches(labels) == (wanted.items() <= labels.items())


@given(st.dictionaries(_WORD, st.sets(_WORD, min_size=1, max_size=3), max_size=3))
def test_text_of_a_selector_parses_to_itself(wanted: dict[str, set[str]]) -> None:
    text = ",".join(f"{key} in ({','.join(values)})" for key, values in wanted.items())
    selector: Selector = parse_selector(text)
    assert parse_selector(str(selector)) == selector
