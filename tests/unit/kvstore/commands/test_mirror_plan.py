"""How a mirror groups changes: nothing lost, nothing reordered, revisions whole where they fit."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.commands.mirroring.plan import (
    MAX_BYTES,
    MAX_OPERATIONS,
    Change,
    Renaming,
    range_end,
    transactions,
)
from kvstore.commands.mirroring.state import State, read, write
from kvstore.errors import DataCorrupt

revisions = st.lists(
    st.dictionaries(st.binary(max_size=2), st.none() | st.just(b"v"), min_size=1, max_size=300)
)


@given(revisions)
def test_every_change_in_order_and_revisions_whole(content: list[dict[bytes, bytes | None]]) -> None:
    changes = [Change(n, key, value) for n, group in enumerate(content) for key, value in group.items()]
    groups = list(transactions(changes))
    assert [change for group in groups for change in group] == changes
    for group in groups:
        assert 0 < len(group) <= MAX_OPERATIONS
        assert len({change.key for change in group}) == len(group)
    for earlier, later in itertools.pairwise(groups):
        if earlier[-1].revision == later[0].revision:
            assert len(content[later[0].revision]) > MAX_OPERATIONS


def test_a_revision_may_have_a_transaction_of_its_own() -> None:
    changes = [Change(n // 2, b"%d" % n, b"") for n in range(6)]
    assert [len(group) for group in transactions(changes, merge=False)] == [2, 2, 2]
    assert [len(group) for group in transactions(changes)] == [6]


def test_large_values_fill_a_transaction() -> None:
    changes = [Change(n, b"%d" % n, bytes(MAX_BYTES // 3)) for n in range(5)]
    assert [len(group) for group in transactions(changes)] == [2, 2, 1]
    changes = [Change(1, b"%d" % n, bytes(MAX_BYTES + 1)) for n in range(2)]
    assert [len(group) for group in transactions(changes)] == [1, 1]


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"", b"\0"), (b"a", b"b"), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"/x/", b"/x0")]
)
def test_the_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert range_end(prefix) == end


def test_prefixes_are_exchanged() -> None:
    assert Renaming(b"/a/", b"/b/")(b"/a/x/a/") == b"/b/x/a/"
    assert Renaming(b"/a/", b"")(b"/a/x") == b"x"


def test_the_state_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path / "state") is None
    write(tmp_path / "state", State(1, 2, "/a", "/b", 77))
    assert read(tmp_path / "state") == State(1, 2, "/a", "/b", 77)
    for text in ("", "{}", "[1]", '{"revision": 1}'):
        (tmp_path / "state").write_text(text)
        with pytest.raises(DataCorrupt, match="remove it to copy everything again"):
            read(tmp_path / "state")
