"""Where two objects differ."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.changes import MISSING, changes, paths


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["/a"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3, 4]}}, ["/a/b/1", "/a/b/2"]),
        ({"a": {"b": 1}}, {"a": 1}, ["/a"]),
        ({"a": 1}, {"b": 1}, ["/a", "/b"]),
        ({"x/y~": 1}, {}, ["/x~1y~0"]),
        ({"a": 1}, {"a": True}, ["/a"]),
        ({"a": None}, {}, ["/a"]),
    ],
)
def test_paths(old: Any, new: Any, expected: list[str]) -> None:
    assert paths(old, new) == expected


def test_no_more_than_asked_for() -> None:
    assert paths({}, {str(number): 1 for number in range(100)}, 3) == ["/0", "/1", "/2"]


VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_the_changes_make_one_of_the_other(old: Any, new: Any) -> None:
    result: dict[str, Any] = {"root": deepcopy(old)}
    for change in reversed(list(changes({"root": old}, {"root": new}))):
        _apply(result, change.path, change.new)
    # Elements that are added are made from the first on.
    for change in changes(result, {"root": new}):
        _apply(result, change.path, change.new)
    assert result == {"root": new}


def _apply(target: Any, path: str, value: Any) -> None:
    *above, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in above:
        target = target[int(part) if isinstance(target, list) else part]
    if isinstance(target, list):
        at = int(last)
        if value is MISSING:
            del target[at]
        elif at < len(target):
            target[at] = value
        elif at == len(target):
            target.append(value)
    elif value is MISSING:
        del target[last]
    else:
        target[last] = value
