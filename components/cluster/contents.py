"""Reads what the store of a cluster holds, from a snapshot of it or from the files of one that is stopped.

Feeds `compare` (previews) and restores to a point in time. Values are kept as digests: two states of a large cluster
fit into memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.prepare import take_lock
from kvstore import backup as store_backup
from kvstore.backend import DATA_FILE, LmdbBackend
from kvstore.errors import Compacted, FutureRevision, StoreError
from kvstore.mvcc.store import Mvcc
from kvstore.types import RangeRequest

SNAPSHOT_SECONDS = 600.0


class Contents(NamedTuple):
    """`digests`: key -> digest of its value, as of `revision`."""

    revision: int
    digests: dict[bytes, bytes]


def of_snapshot(snapshot: Path, work: Path, revision: int = 0) -> Contents:
    """A verified snapshot, as of a revision that it still has (0: the last). Raises StoreError."""
    with store_backup.unpacked(snapshot, work) as (data, _):
        return _read(data.parent, revision)


def _read(directory: Path, revision: int) -> Contents:
    with closing(LmdbBackend(directory, quota_bytes=0)) as backend:
        mvcc = Mvcc(backend, backend.state.revision, backend.state.compact_revision)
        found = mvcc.range(RangeRequest(b"\0", b"\0", revision=revision))
        return Contents(revision or mvcc.revision, {kv.key: _digest(kv.value) for kv in found.kvs})


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def snapshot_of(layout: Layout, target: Path) -> None:
    """A snapshot of the cluster there, running or stopped, as the file `target`. Raises ClusterError."""
    try:
        asyncio.run(ipc.call(layout.socket, "snapshot", timeout=SNAPSHOT_SECONDS, file=str(target)))
    except ipc.NotRunning:
        of_stopped(layout, target)


def of_stopped(layout: Layout, target: Path) -> None:
    """As `snapshot_of`, for a cluster that must not run."""
    layout.make()
    lock = take_lock(layout)
    try:
        source = _furthest(layout)
        store_backup.write(target, _copy_of(source / DATA_FILE), cluster_id=0)
    except (OSError, StoreError) as error:
        raise ClusterError(
            f"{layout.masters}: the store cannot be read: {error}", "start the cluster"
        ) from error
    finally:
        shutil.rmtree(layout.run, ignore_errors=True)
        os.close(lock)


def _copy_of(data: Path) -> Callable[[Path], None]:
    def copy(directory: Path) -> None:
        directory.mkdir(parents=True)
        shutil.copyfile(data, directory / DATA_FILE)

    return copy


def _furthest(layout: Layout) -> Path:
    """The database of the master that has applied most. What is in its log alone is not seen."""
    found: list[tuple[int, Path]] = []
    for directory in sorted(layout.masters.glob("*/member/db")):
        with closing(LmdbBackend(directory, quota_bytes=0)) as backend:
            found.append((backend.state.index, directory))
    if not found:
        raise ClusterError(f"{layout.masters}: no master has any data", "start the cluster once: kuberaft up")
    return max(found)[1]


def not_retained(revision: int, error: Compacted | FutureRevision, where: str) -> ClusterError:
    """Why a revision cannot be gone to."""
    if isinstance(error, FutureRevision):
        return ClusterError(f"{where} has not reached revision {revision}", "name an earlier one")
    return ClusterError(
        f"{where} has no history of revision {revision} any more",
        f"name {error.compact_revision} or a later one, or restore an older backup",
    )
