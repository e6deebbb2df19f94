"""Going back to an earlier revision, against a model that remembers every state."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.backend import LmdbBackend
from kvstore.errors import Compacted, FutureRevision
from kvstore.lease import Lessor
from kvstore.mvcc.store import Mvcc
from kvstore.rewind import rewind
from kvstore.types import RangeRequest

STEPS = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([None, b"1", b"2"])), max_size=12
)
ALL = (b"\0", b"\0")


def write(
    path: Path, steps: list[tuple[bytes, bytes | None]], compact: int = 0
) -> dict[int, dict[bytes, bytes]]:
    """A database made by these steps (None deletes); its content at every revision."""
    with closing(LmdbBackend(path, 0)) as backend:
        mvcc = Mvcc(backend)
        states = {mvcc.revision: dict[bytes, bytes]()}
        for key, value in steps:
            if value is None:
                mvcc.delete_range(key, b"")
            else:
                mvcc.put(key, value, 0)
            mvcc.end()
            states[mvcc.revision] = {kv.key: kv.value for kv in mvcc.latest(*ALL)}
        state = msgspec.structs.replace(backend.state, revision=mvcc.revision, compact_revision=compact)
        backend.commit(state)
    return states


def content(path: Path, revision: int = 0) -> dict[bytes, bytes]:
    with closing(LmdbBackend(path, 0)) as backend:
        mvcc = Mvcc(backend, backend.state.revision, backend.state.compact_revision)
        return {kv.key: kv.value for kv in mvcc.range(RangeRequest(*ALL, revision=revision)).kvs}


@settings(max_examples=30, deadline=None)
@given(STEPS, st.data())
def test_it_holds_what_it_held(steps: list[tuple[bytes, bytes | None]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        states = write(path, steps)
        wanted = data.draw(st.sampled_from(sorted(states)))
        last = max(states)
        changed = rewind(path, wanted)
        assert content(path) == states[wanted]
        assert bool(changed) == (states[wanted] != states[last])
        for revision, state in states.items():  # and all it was in between is still there
            assert content(path, revision) == state


def test_what_is_not_known_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    write(tmp_path, [(b"a", b"1"), (b"a", b"2"), (b"b", b"1")], compact=3)
    before = (tmp_path / "data.mdb").read_bytes()
    with pytest.raises(Compacted):
        rewind(tmp_path, 2)
    with pytest.raises(FutureRevision):
        rewind(tmp_path, 5)
    assert (tmp_path / "data.mdb").read_bytes() == before


def test_keys_go_back_to_leases_that_live_and_stay_away_with_those_that_ended(tmp_path: Path) -> None:
    with closing(LmdbBackend(tmp_path, 0)) as backend:
        mvcc, leases = Mvcc(backend), Lessor(backend, 0.0)
        for lease, key in ((1, b"ended"), (2, b"lives")):
            leases.grant(lease, 60, 1, 0.0)
            mvcc.put(key, b"x", lease)
            leases.move(key, 0, lease)
        mvcc.end()
        then = mvcc.revision
        for lease, key in ((1, b"ended"), (2, b"lives")):
            mvcc.delete_range(key, b"")
            leases.move(key, lease, 0)
        leases.remove(1)
        mvcc.end()
        backend.commit(msgspec.structs.replace(backend.state, revision=mvcc.revision))
    assert rewind(tmp_path, then) == 1
    assert content(tmp_path) == {b"lives": b"x"}
    with closing(LmdbBackend(tmp_path, 0)) as backend:
        assert Lessor(backend, 0.0).keys(2) == [b"lives"]
