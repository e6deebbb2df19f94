"""What a restore that was killed has left in a data directory: taken back before anything else happens there.

Fed by `restore` (which puts everything it does under `.restore-*/`) and called, under the directory's lock, by
`restore` and `prepare`. The exchange of old for new files begins by taking `cluster.yaml` away and ends by
putting the new one there, so a directory with `cluster.yaml` only holds rubbish of the restore, and one without
holds the old files under `old/`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from components.cluster.layout import Layout, unusable

PREFIX = ".restore-"
BUILT = ("masters", "pki", "topology.yaml")
EXCHANGED = (*BUILT, "config", "kubeconfig")


def take_back(layout: Layout) -> None:
    """Leave the cluster as it was before the restore, or as the restore made it when that was done."""
    try:
        for work in sorted(layout.root.glob(f"{PREFIX}*")):
            if not layout.state.exists():
                _undo(layout, work / "old", work / "new")
            shutil.rmtree(work)
    except OSError as error:
        raise unusable(Path(error.filename or layout.root), error) from error


def put_back(kept: Path, place: Path) -> None:
    """Move a file or directory back to where it was, over what is there now."""
    _remove(place)
    os.replace(kept, place)


def _undo(layout: Layout, old: Path, new: Path) -> None:
    for name in EXCHANGED:
        place = layout.root / name
        if (old / name).exists():
            put_back(old / name, place)
        elif old.exists() and name in BUILT and not (new / name).exists():
            _remove(place)  # the new one, where there was none before
    if (old / layout.state.name).exists():
        put_back(old / layout.state.name, layout.state)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
