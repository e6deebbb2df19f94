"""A restore killed at each of its steps: afterwards the old cluster is there whole, or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.cluster import interrupted, restore, state
from components.cluster.layout import Layout
from components.cluster.state import State

OLD, NEW = State(slot=1, token="old", masters=1), State(slot=1, token="new", masters=1)


def fill(directory: Path, text: str, names: tuple[str, ...]) -> None:
    for name in names:
        place = directory / name
        if "." in name or name == "kubeconfig":
            place.write_text(text)
        else:
            place.mkdir(parents=True, exist_ok=True)
            (place / "file").write_text(text)


def killed_at(step: int, layout: Layout, work: Path) -> bool:
    """Exchange in a child that dies before its `step`th rename; False when it was done before."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    rename, left = os.replace, [step]

    def counted(source: Path, target: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
        rename(source, target)

    os.replace = counted  # type: ignore[assignment]
    restore._exchange(layout, work / "new", work / "old", NEW)
    os._exit(0)


def found(layout: Layout) -> dict[str, str]:
    names = {name: layout.root / name for name in interrupted.EXCHANGED}
    files = {name: path / "file" if path.is_dir() else path for name, path in names.items()}
    return {name: path.read_text() for name, path in files.items() if path.exists()}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("step", range(11))
def test_a_restore_killed_anywhere_is_undone_or_done(tmp_path: Path, step: int, fresh: bool) -> None:
    layout = Layout.at(tmp_path / "c")
    work = layout.root / f"{interrupted.PREFIX}x"
    fill(work / "new", "new", interrupted.BUILT[:2])
    fill(work / "new", "new", interrupted.BUILT[2:])
    if not fresh:
        fill(layout.root, "old", interrupted.EXCHANGED)
        state.save(layout, OLD)
    before = found(layout)
    killed = killed_at(step, layout, work)
    interrupted.take_back(layout)
    assert not work.exists()
    done = dict.fromkeys(interrupted.BUILT, "new")
    kept = state.load(layout)
    if killed:
        assert (kept, found(layout)) == (None if fresh else OLD, before)
    else:
        assert (kept, found(layout)) == (NEW, done)
