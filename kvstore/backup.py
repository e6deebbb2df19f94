"""Snapshot files: written from a running member, verified anywhere, installed on a follower or restored.

A file is a sequence of cbor2 items, each after its length in four bytes: the magic text, a `Header`, the
chunks of an LMDB file without free pages (byte strings, the last one empty), and the SHA-256 of all before
it. The header says what the database holds, so `verify` needs no database. A file that is cut short or
altered anywhere is refused before anything is changed.

Used by `kvstore.statemachine` (snapshots of Raft) and by the command line (backups).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cbor2
import msgspec

from kvstore.backend import DATA_FILE, LmdbBackend, StoredState, translated
from kvstore.errors import ClusterIDMismatch, DataDirUnusable, SnapshotCorrupt
from kvstore.raft.interface import SnapshotMeta

MAGIC = "kuberaft snapshot 1"
REVISION_BUMP = 1_000_000_000
"""Added to the revision by a restore: more writes than any client can have seen since the backup."""

_CHUNK = 1 << 20
_LINEAGE_FILE = "restored-from"


class Header(msgspec.Struct, frozen=True, array_like=True):
    """`size` is of the database in bytes."""

    cluster_id: int
    index: int
    term: int
    revision: int
    compact_revision: int
    size: int


def write(path: Path, copy: Callable[[Path], None], cluster_id: int) -> SnapshotMeta:
    """Write a snapshot of what `copy` puts into a directory. The file appears whole or not at all."""
    with work_directory(path.parent) as work, translated(path.parent):
        copy(work / "db")
        header = _describe(work / "db", cluster_id)
        with open(work / "file", "wb") as file:
            digest = _write_items(file, header, work / "db" / DATA_FILE)
            _fsync(file)
            size = file.tell()
        os.replace(work / "file", path)
        fsync_directory(path.parent)
    return _meta(header, size, digest)


def verify(path: Path) -> SnapshotMeta:
    """Read the whole file; raises `SnapshotCorrupt` naming it and what is wrong with it."""
    with open(os.devnull, "wb") as nothing:
        return _read(path, nothing)


@contextmanager
def unpacked(path: Path, beside: Path) -> Iterator[tuple[Path, SnapshotMeta]]:
    """A verified copy of the database in a file on the same disk as `beside`, for `put_in_place`."""
    with work_directory(beside) as work:
        data = work / DATA_FILE
        with translated(beside), open(data, "wb") as file:
            meta = _read(path, file)
            _fsync(file)
        yield data, meta


def put_in_place(data: Path, directory: Path) -> None:
    """Make the file of `unpacked` the database of a directory, in one step. No process may have it open."""
    with translated(directory):
        os.replace(data, directory / DATA_FILE)
        fsync_directory(directory)


def require_cluster(path: Path, meta: SnapshotMeta, cluster_id: int) -> None:
    if meta.cluster_id != cluster_id:
        raise ClusterIDMismatch(
            f"{path}: a snapshot of cluster {meta.cluster_id:x}, this member belongs to {cluster_id:x};"
            " to start a new cluster from it, restore it into an empty data directory"
        )


def restore_database(
    path: Path, directory: Path, *, bump_revision: int = REVISION_BUMP, mark_compacted: bool = True
) -> SnapshotMeta:
    """Fill an empty or absent directory with the applied state of a verified snapshot.

    The state begins a new history: Raft index 0, revision raised by `bump_revision`, everything before it
    compacted, no alarms. So a client that has seen later revisions than the backup is told "compacted" and
    reads again, instead of waiting for revisions that mean something else now. Returns what the snapshot
    says of itself.
    """
    require_empty(directory)
    with unpacked(path, directory) as (data, meta):
        put_in_place(data, directory)
    begin_anew(directory, bump_revision, mark_compacted)
    return meta


def restore(
    path: Path, data_dir: Path, *, bump_revision: int = REVISION_BUMP, mark_compacted: bool = True
) -> SnapshotMeta:
    """Make a member's data directory (`kvstore.member`) from a snapshot: whole or not at all.

    Every member of the new cluster is restored from the same file. Names, addresses and the new cluster token
    are given to the members when they start; their identities follow from these.
    """
    require_empty(data_dir)
    with work_directory(data_dir.parent) as work:
        meta = restore_database(
            path, work / "member" / "db", bump_revision=bump_revision, mark_compacted=mark_compacted
        )
        with translated(data_dir):
            os.replace(work / "member", data_dir / "member")
            fsync_directory(data_dir)
    return meta


def bind(data_dir: Path, lineage: str) -> None:
    """Record in a data directory that is being made from what it was restored, for `bound_token`."""
    path = data_dir / "member" / _LINEAGE_FILE
    with translated(path), open(path, "w") as file:
        file.write(lineage + "\n")
        file.flush()
        os.fsync(file.fileno())


def bound_token(data_dir: Path, token: str) -> str:
    """The token from which ids follow. That of a restored member names the snapshot as well, so members
    restored from different ones belong to different clusters and refuse each other."""
    path = data_dir / "member" / _LINEAGE_FILE
    with translated(path):
        if not path.exists():
            return token
        return f"{token}\0{path.read_bytes().strip().hex()}"


def require_empty(directory: Path) -> None:
    """Raise `DataDirUnusable` unless the directory is empty or absent; it exists afterwards."""
    with translated(directory):
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise DataDirUnusable(f"{directory}: not empty; restore into a new directory, or remove this one")


def begin_anew(directory: Path, bump_revision: int, mark_compacted: bool) -> None:
    """Turn the database of a stopped member into the start of a new history."""
    backend = LmdbBackend(directory, quota_bytes=0)
    try:
        old = backend.state
        revision = old.revision + bump_revision
        compact_revision = revision if mark_compacted else old.compact_revision
        backend.commit(
            StoredState(revision=revision, compact_revision=compact_revision, compacted=old.compacted)
        )
        backend.sync()
    finally:
        backend.close()


@contextmanager
def work_directory(parent: Path) -> Iterator[Path]:
    """A temporary directory on the disk of `parent`, gone in the end."""
    with translated(parent):
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".snapshot-", dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _describe(directory: Path, cluster_id: int) -> Header:
    backend = LmdbBackend(directory, quota_bytes=0)
    state = backend.state
    backend.close()
    size = (directory / DATA_FILE).stat().st_size
    return Header(cluster_id, state.index, state.term, state.revision, state.compact_revision, size)


def _write_items(file: IO[bytes], header: Header, data: Path) -> bytes:
    digest = hashlib.sha256()

    def item(value: object) -> None:
        data = cbor2.dumps(value)
        framed = len(data).to_bytes(4, "big") + data
        file.write(framed)
        digest.update(framed)

    item(MAGIC)
    item(msgspec.to_builtins(header))
    with open(data, "rb") as source:
        while chunk := source.read(_CHUNK):
            item(chunk)
    item(b"")
    content = digest.digest()
    item(content)
    return content


def _read(path: Path, into: IO[bytes]) -> SnapshotMeta:
    with translated(path), open(path, "rb") as file:
        try:
            header, digest = _read_items(file, into)
        except (ValueError, EOFError, cbor2.CBORError, msgspec.ValidationError) as error:
            raise SnapshotCorrupt(f"{path}: truncated or altered ({error}); use another snapshot") from error
        return _meta(header, file.tell(), digest)


def _read_items(file: IO[bytes], into: IO[bytes]) -> tuple[Header, bytes]:
    digest = hashlib.sha256()
    if _item(file, digest) != MAGIC:
        raise ValueError("it does not begin as a snapshot")
    header = msgspec.convert(_item(file, digest), Header)
    size = 0
    while chunk := _chunk(_item(file, digest)):
        size += len(chunk)
        into.write(chunk)
    stated = _item(file, None)
    if size != header.size:
        raise ValueError(f"{size} bytes of data where the header says {header.size}")
    if stated != digest.digest():
        raise ValueError("its checksum does not match its content")
    if file.read(1):
        raise ValueError("it goes on after its checksum")
    return header, digest.digest()


def _item(file: IO[bytes], digest: Any) -> Any:
    """The next item: every one is framed by its length, so no decoder reads beyond it."""
    length = file.read(4)
    data = file.read(min(int.from_bytes(length, "big"), 2 * _CHUNK))
    if len(length) < 4 or len(data) != int.from_bytes(length, "big"):
        raise EOFError("it ends in the middle of a record")
    if digest is not None:
        digest.update(length + data)
    return cbor2.loads(data)


def _chunk(item: Any) -> bytes:
    if not isinstance(item, bytes):
        raise ValueError("a record is not data")
    return item


def _meta(header: Header, size: int, digest: bytes) -> SnapshotMeta:
    h = header
    return SnapshotMeta(h.cluster_id, h.index, h.term, h.revision, h.compact_revision, size, digest.hex())


def _fsync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def fsync_directory(path: Path) -> None:
    """Make renames in the directory survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
