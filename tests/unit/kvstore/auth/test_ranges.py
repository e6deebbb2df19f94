"""Permissions added up, against a twin that knows every key one by one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.auth.ranges import KeyRanges, interval, is_grantable
from kvstore.mvcc.ranges import contains

KEYS = [bytes(k) for n in (1, 2) for k in itertools.product(b"\0ab", repeat=n)]
key = st.sampled_from(KEYS)
granted = st.tuples(key, st.sampled_from([b"", *KEYS]))


@given(st.lists(granted, max_size=6), granted)
def test_a_range_is_covered_if_every_key_of_it_is(
    grants: list[tuple[bytes, bytes]], asked: tuple[bytes, bytes]
) -> None:
    intervals = [interval(*grant) for grant in grants]
    ranges = KeyRanges(intervals)
    start, end = interval(*asked)
    if end and start >= end:
        return
    # Between neighbours of `universe` nothing begins or ends, so these keys stand for all.
    bounds = {bound for pair in (*intervals, (start, end)) for bound in pair if bound}
    universe = sorted(bounds | {bound + b"\0" for bound in bounds} | {b"\xff"})
    wanted = [key for key in universe if contains(start, end, key)]
    expected = all(any(contains(*i, key) for i in intervals) for key in wanted)
    if not end:
        expected = expected and any(not i[1] and i[0] <= b"\xff" for i in intervals)
    assert ranges.covers(start, end) == expected


@pytest.mark.parametrize(
    ("grants", "asked", "covered"),
    [
        ([(b"a", b"")], (b"a", b""), True),
        ([(b"a", b"")], (b"a", b"\0"), False),  # one key is not all keys from it on
        ([(b"a", b"")], (b"ab", b""), False),
        ([(b"a", b"c")], (b"c", b""), False),
        ([(b"a", b"c"), (b"c", b"e")], (b"b", b"d"), True),
        ([(b"a", b"c"), (b"d", b"e")], (b"b", b"e"), False),
        ([(b"a", b"\0")], (b"zzz", b""), True),
        ([(b"a", b"\0")], (b"b", b"\0"), True),
        ([(b"b", b"\0")], (b"a", b"\0"), False),
        ([(b"\0", b"\0")], (b"\0", b"\0"), True),
        ([], (b"a", b""), False),
    ],
)
def test_table(grants: list[tuple[bytes, bytes]], asked: tuple[bytes, bytes], covered: bool) -> None:
    assert KeyRanges(interval(*grant) for grant in grants).covers(*interval(*asked)) == covered


@pytest.mark.parametrize(
    ("key", "range_end", "ok"),
    [
        (b"a", b"", True),
        (b"a", b"b", True),
        (b"b", b"\0", True),
        (b"", b"b", False),
        (b"b", b"a", False),
        (b"a", b"a", False),
    ],
)
def test_what_can_be_granted(key: bytes, range_end: bytes, ok: bool) -> None:
    assert is_grantable(key, range_end) == ok
