"""The key of service account tokens is exchanged in steps that can be cut off anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apiserver.auth import token_keys as served
from components.cluster import token_keys
from components.cluster.errors import ClusterError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert token_keys.ensure(tmp_path)
    assert not token_keys.ensure(tmp_path)
    return tmp_path


def accepted(folder: Path) -> list[str]:
    """Ids of the keys whose tokens an API server takes."""
    return [served.key_id(key) for key in served.public_keys((folder / "sa.pub").read_bytes())]


def signs(folder: Path) -> str:
    return served.key_id(served.private_key((folder / "sa.key").read_bytes()).public_key())


def test_every_step_accepts_what_is_signed_before_and_after_it(folder: Path) -> None:
    old = signs(folder)
    assert accepted(folder) == [old]
    token_keys.begin(folder)
    assert signs(folder) == old
    [_, new] = accepted(folder)
    token_keys.switch(folder)
    assert (signs(folder), accepted(folder)) == (new, [new, old])
    token_keys.drop(folder)
    assert (signs(folder), accepted(folder)) == (new, [new])


def test_steps_that_are_done_again_change_nothing(folder: Path) -> None:
    token_keys.switch(folder)  # nothing was begun
    token_keys.begin(folder)
    keys = accepted(folder)
    token_keys.begin(folder)
    assert accepted(folder) == keys
    token_keys.switch(folder)
    token_keys.switch(folder)
    assert (signs(folder), accepted(folder)) == (keys[1], [keys[1], keys[0]])


def test_a_switch_that_was_cut_off_is_continued(folder: Path) -> None:
    token_keys.begin(folder)
    coming = (folder / "sa-next.key").read_bytes()
    [old, new] = accepted(folder)
    (folder / "sa.key").write_bytes(coming)  # and then the power went
    token_keys.switch(folder)
    assert (signs(folder), set(accepted(folder))) == (new, {old, new})
    assert not (folder / "sa-next.key").exists()


def test_nothing_is_dropped_in_the_middle_of_an_exchange(folder: Path) -> None:
    token_keys.begin(folder)
    before = accepted(folder)
    with pytest.raises(ClusterError, match="a new key for tokens is being taken into use"):
        token_keys.drop(folder)
    assert accepted(folder) == before


@pytest.mark.parametrize(("gone", "step"), [("sa.pub", token_keys.begin), ("sa.key", token_keys.drop)])
def test_a_file_that_is_gone_is_named(folder: Path, gone: str, step: Callable[[Path], None]) -> None:
    (folder / gone).unlink()
    with pytest.raises(ClusterError, match=f"{gone}: cannot be read"):
        step(folder)


def test_a_broken_key_is_named(folder: Path) -> None:
    (folder / "sa.key").write_text("broken")
    with pytest.raises(ClusterError, match=r"sa\.key: holds no private key"):
        token_keys.drop(folder)
