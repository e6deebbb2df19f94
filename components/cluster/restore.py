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

from components.cluster import backup, interrupted, slots, state, stopping, topology_file
from components.cluster.backup import Manifest
from components.cluster.errors import ClusterError
from components.cluster.files import write_private
from components.cluster.layout import Layout, unusable
from components.cluster.prepare import STOP_OTHER, first_missing, refuse_foreign, remove_new, take_lock
from components.cluster.state import State
from components.cluster.topology import master_names, with_api_port
from kvstore import backup as store_backup
from kvstore.errors import StoreError


def restore(file: Path, layout: Layout, api_port: int | None = None) -> Manifest:
    """Replace the stopped cluster in `layout` (or make one) by the one in the backup. Raises ClusterError."""
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
            _replace(layout, unpacked, manifest, api_port)
        except (OSError, StoreError) as error:
            raise _failed(layout, error) from error
        return manifest


def _replace(layout: Layout, unpacked: Path, manifest: Manifest, api_port: int | None) -> None:
    with tempfile.TemporaryDirectory(prefix=interrupted.PREFIX, dir=layout.root) as directory:
        work = Path(directory)
        new = _build(unpacked, work / "new", manifest, api_port)
        _end_pods_elsewhere(layout, manifest)
        _exchange(layout, work / "new", work / "old", new)


def _remove_unless_restored(layout: Layout, made: Path | None) -> None:
    if not layout.exists():
        remove_new(layout, made)


def _build(unpacked: Path, new: Path, manifest: Manifest, api_port: int | None) -> State:
    """The new cluster's files in `new`."""
    topology = topology_file.load(unpacked / "topology.yaml")
    if api_port is not None:
        topology = with_api_port(topology, api_port)
    new.mkdir()
    shutil.copytree(unpacked / "pki", new / "pki")
    for directory in (new / "pki", *filter(Path.is_dir, (new / "pki").rglob("*"))):
        directory.chmod(0o700)
    write_private(new / "topology.yaml", topology_file.dump(topology).encode())
    for name in master_names(topology):
        store_backup.restore(unpacked / backup.SNAPSHOT, new / "masters" / name)
    return State(slot=manifest.slot, token=state.new_token(), masters=topology.masters.count, formed=True)


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
