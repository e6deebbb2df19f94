"""A snapshot from the leader on its way to become this member's state (`kvstore.raft.interface.PreparedSnapshot`).

What takes long happens in a thread: the file is verified and unpacked beside the database, and the keys are read
from it that have to be in memory. What is left for the event loop is to swap one file for another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from kvstore import backup
from kvstore.backend import LmdbBackend
from kvstore.mvcc.store import Keys, read_keys

Replace = Callable[[Path, Keys], None]


class Prepared:
    """A verified database in a directory of its own, which is gone after either call."""

    def __init__(self, directory: ExitStack, data: Path, keys: Keys, replace: Replace) -> None:
        self._directory = directory
        self._data, self._keys, self._replace = data, keys, replace

    def install(self) -> None:
        with self._directory:
            self._replace(self._data, self._keys)

    def discard(self) -> None:
        self._directory.close()


def prepare(path: Path, beside: Path, cluster_id: int, replace: Replace) -> Prepared:
    """`replace` is to put the file into the place of the one in `beside`. Raises `SnapshotCorrupt`,
    `ClusterIDMismatch`; then nothing is left of it."""
    with ExitStack() as stack:
        data, meta = stack.enter_context(backup.unpacked(path, beside))
        backup.require_cluster(path, meta, cluster_id)
        with closing(LmdbBackend(data.parent, 0)) as backend:
            keys = read_keys(backend.history)
        return Prepared(stack.pop_all(), data, keys, replace)
