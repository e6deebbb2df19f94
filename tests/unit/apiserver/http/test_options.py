"""List and watch parameters, alone and together."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from apiserver.api.errors import StatusError
from apiserver.http.options import EXACT, NOT_OLDER, ListOptions, list_options, revision

FORBIDDEN = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "


def read(**query: str) -> ListOptions:
    return list_options(MultiDict(query))


def refused(**query: str) -> StatusError:
    with pytest.raises(StatusError) as caught:
        read(**query)
    return caught.value


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"resourceVersionMatch": EXACT}, FORBIDDEN + "unless resourceVersion is provided"),
        (
            {"resourceVersionMatch": EXACT, "resourceVersion": "1", "continue": "x"},
            FORBIDDEN + "when continue is provided",
        ),
        (
            {"resourceVersionMatch": "Odd", "resourceVersion": "1"},
            'resourceVersionMatch: Unsupported value: "Odd": supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            {"resourceVersionMatch": EXACT, "resourceVersion": "0"},
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"sendInitialEvents": "true"},
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            {"watch": "true", "resourceVersionMatch": NOT_OLDER},
            FORBIDDEN + "for watch unless sendInitialEvents is provided",
        ),
        (
            {"watch": "true", "sendInitialEvents": "true"},
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        ({"watch": "true", "continue": "x"}, FORBIDDEN + "when continue is provided"),
        (
            {"watch": "1", "sendInitialEvents": "", "resourceVersionMatch": NOT_OLDER, "continue": "x"},
            FORBIDDEN + "when continue is provided",
        ),
    ],
)
def test_combinations_that_are_refused(query: dict[str, str], text: str) -> None:
    failure = refused(**query)
    assert (failure.code, failure.reason) == (422, "Invalid")
    assert failure.message == f'ListOptions.meta.k8s.io "" is invalid: {text}'


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"resourceVersion": "5", "resourceVersionMatch": EXACT, "limit": "3"},
        {"resourceVersion": "0", "resourceVersionMatch": NOT_OLDER},
        {"watch": "true", "sendInitialEvents": "false", "resourceVersionMatch": NOT_OLDER},
    ],
)
def test_combinations_that_are_not(query: dict[str, str]) -> None:
    assert read(**query).resource_version == query.get("resourceVersion", "")


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("", True), ("yes", True), ("False", False), ("0", False)]
)
def test_anything_but_false_is_true(value: str, expected: bool) -> None:
    assert read(allowWatchBookmarks=value).bookmarks is expected


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("٣", 'strconv.ParseInt: parsing "٣": invalid syntax'),
        ("9223372036854775808", 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
    ],
)
def test_numbers_that_are_none(limit: str, text: str) -> None:
    failure = refused(limit=limit)
    assert (failure.code, failure.message) == (400, text)


@pytest.mark.parametrize(
    ("text", "why"), [("a", "invalid syntax"), ("-1", "invalid syntax"), (str(2**64), "value out of range")]
)
def test_versions_that_are_none(text: str, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        revision(text)
    assert caught.value.message == (
        f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}'
    )
