"""Puts a whole cluster back from one backup file: every member from the same snapshot, as a new cluster.

The new cluster has a token of its own, so members of the old one are refused; the store's revision is raised
and marked compacted (kvstore.backup), so clients that saw later revisions read again. Worker directories are
kept where the addresses stay the same: the kubelets end the pods that the restored state does not know.

The cluster keeps the address slot it had: cluster IPs are part of the stored Services, and a restored state
with other ones would not be the state that was saved. A slot that another cluster runs in is refused before
anything is changed.

Everything is built beside the data first. The exchange starts by taking `cluster.yaml` away and ends by
putting the new one there; what fails in between is taken back, after a kill by the next command (`interrupted`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from components.cluster import backup, contents, interrupted, slots, state, stopping, topology_file
from components.cluster.backup import Manifest
from components.cluster.errors import ClusterError
from components.cluster.files import write_private
from components.cluster.layout import Layout, unusable
from components.cluster.prepare import STOP_OTHER, first_missing, refuse_foreign, remove_new, take_lock
from components.cluster.state import State
from components.cluster.topology import master_names, with_api_port
from kvstore import backup as store_backup
from kvstore.backend import DATA_FILE
from kvstore.errors import Compacted, FutureRevision, StoreError
from kvstore.rewind import rewind


def restore(file: Path, layout: Layout, api_port: int | None = None, to_revision: int = 0) -> Manifest:
    """Replace the stopped cluster in `layout` (or make one) by the one in the backup. Raises ClusterError.

    `to_revision`: as of that revision, which the backup's store must still have; 0 is its last.
    """
    with backup.opened(file) as (manifest, unpacked), contextlib.ExitStack() as undo:
        made = first_missing(layout.root)
        if not layout.exists():
            refuse_foreign(layout)
        layout.make()
        lock = take_lock(layout)
        undo.callback(os.close, lock)
        undo.callback(shutil.rmtree, layout.run, ignore_errors=True)
        interrupted.take_back(layout)
        if not layout.exists():
            undo.callback(_remove_unless_restored, layout, made)
        remedy = f"{STOP_OTHER}: the Services in {file} have addresses of that slot"
        undo.callback(slots.claim(manifest.slot, remedy).close)
        try:
            _replace(layout, unpacked, manifest, api_port, to_revision)
        except (OSError, StoreError) as error:
            raise _failed(layout, error) from error
        return manifest


def restore_own(layout: Layout, to_revision: int, api_port: int | None = None) -> Manifest:
    """Bring the stopped cluster in `layout` back to what it held at a revision that its store still has."""
    decided = state.load(layout)
    if decided is None:
        raise ClusterError(f"{layout.root}: there is no cluster", "name its directory: --dir DIR")
    name = topology_file.load(layout.topology).name
    with backup.workspace(layout.root.parent if os.access(layout.root.parent, os.W_OK) else None) as work:
        contents.of_stopped(layout, work / "store")
        backup.write(layout, name, work / "store", work / "file")
        return restore(work / "file", layout, api_port, to_revision)


def _replace(
    layout: Layout, unpacked: Path, manifest: Manifest, api_port: int | None, to_revision: int
) -> None:
    with tempfile.TemporaryDirectory(prefix=interrupted.PREFIX, dir=layout.root) as directory:
        work = Path(directory)
        new = _build(unpacked, work / "new", manifest, api_port, to_revision)
        _end_pods_elsewhere(layout, manifest)
        _exchange(layout, work / "new", work / "old", new)


def _remove_unless_restored(layout: Layout, made: Path | None) -> None:
    if not layout.exists():
        remove_new(layout, made)


def _build(unpacked: Path, new: Path, manifest: Manifest, api_port: int | None, to_revision: int) -> State:
    """The new cluster's files in `new`."""
    topology = topology_file.load(unpacked / "topology.yaml")
    if api_port is not None:
        topology = with_api_port(topology, api_port)
    new.mkdir()
    shutil.copytree(unpacked / "pki", new / "pki")
    for directory in (new / "pki", *filter(Path.is_dir, (new / "pki").rglob("*"))):
        directory.chmod(0o700)
    write_private(new / "topology.yaml", topology_file.dump(topology).encode())
    if to_revision:
        _fill(unpacked / backup.SNAPSHOT, new / "masters", master_names(topology), to_revision)
    else:
        for name in master_names(topology):
            store_backup.restore(unpacked / backup.SNAPSHOT, new / "masters" / name)
    return State(slot=manifest.slot, token=state.new_token(), masters=topology.masters.count, formed=True)


def _fill(snapshot: Path, masters: Path, names: list[str], revision: int) -> None:
    """Every master gets a copy of one database, so that all are alike to the last byte."""
    first, *others = (masters / name / "member" / "db" for name in names)
    for directory in (first, *others):
        directory.mkdir(mode=0o700, parents=True)
    with store_backup.unpacked(snapshot, masters) as (data, _):
        store_backup.put_in_place(data, first)
    try:
        rewind(first, revision)
    except (Compacted, FutureRevision) as error:
        raise contents.not_retained(revision, error, "the store") from error
    store_backup.begin_anew(first, store_backup.REVISION_BUMP, mark_compacted=True)
    for directory in others:
        shutil.copyfile(first / DATA_FILE, directory / DATA_FILE)


def _exchange(layout: Layout, new: Path, old: Path, decided: State) -> None:
    old.mkdir()
    with contextlib.ExitStack() as undo:
        for name in ("cluster.yaml", *interrupted.EXCHANGED):
            if (layout.root / name).exists():
                os.replace(layout.root / name, old / name)
                undo.callback(interrupted.put_back, old / name, layout.root / name)
        for name in interrupted.EXCHANGED:
            if (new / name).exists():
                os.replace(new / name, layout.root / name)
        state.save(layout, decided)
        undo.pop_all()


def _end_pods_elsewhere(layout: Layout, manifest: Manifest) -> None:
    """Containers at addresses of another slot can be no part of the restored cluster."""
    known = state.load(layout)
    if known is not None and known.slot != manifest.slot:
        stopping.end_pods(layout)
        shutil.rmtree(layout.workers, ignore_errors=True)


def _failed(layout: Layout, error: OSError | StoreError) -> ClusterError:
    if isinstance(error, OSError):
        return unusable(Path(error.filename or layout.root), error)
    return ClusterError(f"{layout.root}: the store could not be restored: {error}", "nothing was changed")
