"""The index of keys against a plain dict, with chunks so small that they are split and emptied all the time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.mvcc import keyindex
from kvstore.mvcc.keyindex import KeyIndex

KEYS = st.binary(min_size=1, max_size=2)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "put", "delete"]), KEYS), max_size=60)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyindex, "CHUNK", 2)


@settings(deadline=None)
@given(
    st.dictionaries(KEYS, st.just(b"0"), max_size=9),
    STEPS,
    KEYS,
    st.one_of(st.just(b""), KEYS),
    st.integers(0, 4),
)
def test_it_is_a_sorted_dict(
    first: dict[bytes, bytes], steps: list[Any], start: bytes, end: bytes, limit: int
) -> None:
    twin, index = dict(first), KeyIndex(dict(first))
    for number, (kind, key) in enumerate(steps):
        if kind == "put":
            twin[key] = bytes([number])
            index.put(key, bytes([number]))
        else:
            twin.pop(key, None)
            index.delete(key)
    expected = sorted((k, v) for k, v in twin.items() if k >= start and (not end or k < end))
    assert index.items(start, end) == expected
    assert index.items(start, end, limit) == (expected[:limit] if limit else expected)
    assert index.count(start, end) == len(expected)
    assert (list(index), len(index)) == (sorted(twin), len(twin))
    assert all(index.get(key) == revision for key, revision in twin.items())
    assert index.get(b"none") is None
