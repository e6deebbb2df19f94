"""Makes a member's data directory from an etcd snapshot file: whole or not at all.

Every member of the new cluster is restored from the same file with the same options. The directory remembers
both (`kvstore.backup.bind`), the new cluster's ids follow from them, and so members restored from different
files refuse each other. A snapshot of another cluster, told by the names of its members, is refused as well.
Fed by `kvstore.commands.snapshot`; what a member then starts from is described in `kvstore.member`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kvstore import backup
from kvstore.backend import translated
from kvstore.bolt.load import Loaded, load
from kvstore.bolt.reader import BoltFile
from kvstore.errors import ClusterIDMismatch, SnapshotCorrupt


@dataclass(frozen=True)
class Options:
    """`bump_revision`: added to the revision, more than any client can have seen since the snapshot.

    `mark_compacted`: what is older cannot be read or watched any more. `mixed`: do not bind the cluster to
    this snapshot. `other_cluster`: take it although none of the new members' names was in its cluster.
    """

    bump_revision: int = backup.REVISION_BUMP
    mark_compacted: bool = True
    skip_hash_check: bool = False
    mixed: bool = False
    other_cluster: bool = False


class Restored(NamedTuple):
    """`content` is what the snapshot held, `revision` that of the new store."""

    content: Loaded
    revision: int
    sha256: str


def restore(path: Path, data_dir: Path, names: Collection[str], options: Options | None = None) -> Restored:
    """Fill an empty or absent directory for a member of the cluster of these names.

    Raises `SnapshotCorrupt`, `DataDirUnusable`, `ClusterIDMismatch`; then nothing was changed.
    """
    options = options or Options()
    backup.require_empty(data_dir)
    with BoltFile(path) as source, backup.work_directory(data_dir.parent) as work:
        sha256 = verified(source, skip_hash_check=options.skip_hash_check)
        if not options.other_cluster:
            _require_same_cluster(path, member_names(source), names)
        database = work / "member" / "db"
        database.mkdir(parents=True)
        content = load(source, database)
        backup.begin_anew(database, options.bump_revision, options.mark_compacted)
        if not options.mixed:
            backup.bind(work, f"{sha256} {options.bump_revision} {options.mark_compacted:d}")
        with translated(data_dir):
            os.replace(work / "member", data_dir / "member")
            backup.fsync_directory(data_dir)
    return Restored(content, content.revision + options.bump_revision, sha256)


def verified(source: BoltFile, *, skip_hash_check: bool) -> str:
    """The checksum of the database. Raises `SnapshotCorrupt` if there is none to compare it with."""
    if skip_hash_check:
        return source.checksum(compare=False)
    if not source.has_checksum:
        raise SnapshotCorrupt(
            f"{source.path}: no checksum at its end: truncated, or copied from a data directory;"
            " use a file that `snapshot save` made, or --skip-hash-check"
        )
    return source.checksum()


def member_names(source: BoltFile) -> set[str]:
    """Names of the members of the cluster that the snapshot is of."""
    found = set()
    for _, value in source.buckets().get(b"members", ()):
        try:
            found.add(str(json.loads(value)["name"]))
        except (ValueError, KeyError, TypeError):
            continue  # a member that has not said its name yet
    return found


def _require_same_cluster(path: Path, old: set[str], new: Collection[str]) -> None:
    if old and not old & set(new):
        raise ClusterIDMismatch(
            f"{path}: a snapshot of another cluster, with the members {', '.join(sorted(old))};"
            f" none of them is in the new one ({', '.join(sorted(new))}):"
            " use the snapshot of this cluster, or --other-cluster if it is meant"
        )
