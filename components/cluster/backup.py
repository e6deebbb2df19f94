"""The backup of a whole cluster: one file that can be verified anywhere and restored into any directory.

A tar archive (readable with `tar tf`) and, after its end, a line with the SHA-256 of all before it:

    manifest.json     format, time, name, slot, and size of the store's snapshot with its revision
    topology.yaml     as in the data directory
    pki/...           every certificate and key: keep the file as safe as the cluster
    store.snapshot    the store, with a checksum of its own (kvstore.backup)

A file that is cut short or altered anywhere is refused before anything is read from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from components.cluster import state
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout, unusable
from kvstore import backup as store_backup
from kvstore.errors import StoreError

FORMAT = "kuberaft backup 1"
SNAPSHOT = "store.snapshot"
_TRAILER = b"kuberaft-sha256 "
_TRAILER_SIZE = len(_TRAILER) + 64 + 1
_BLOCK = 1 << 20
_WORK = ".kuberaft-backup-"


class Manifest(Struct, frozen=True, rename="camel"):
    """What a backup says of itself. `created` is RFC 3339."""

    format: str
    created: str
    name: str
    slot: int
    revision: int
    snapshot_size: int


def write(layout: Layout, name: str, snapshot: Path, target: Path) -> Manifest:
    """Pack the files of `layout` and a store snapshot into `target`; verified before it appears
    under that name.
    """
    meta = store_backup.verify(snapshot)
    known = state.load(layout)
    assert known is not None  # the cluster runs
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = Manifest(FORMAT, created, name, known.slot, meta.revision, snapshot.stat().st_size)
    try:
        with workspace(target.parent) as work:
            descriptor = os.open(work / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                _pack(file, layout, snapshot, manifest)
                file.flush()
                os.fsync(file.fileno())
            verify(work / "file")
            os.replace(work / "file", target)
            _sync_directory(target.parent)
    except OSError as error:
        raise unusable(target, error) from error
    return manifest


@contextlib.contextmanager
def workspace(beside: Path | None) -> Iterator[Path]:
    """A private directory for as long as the context lasts. What a killed process left of its own goes too."""
    parent = Path(tempfile.gettempdir()) if beside is None else beside
    for left in parent.glob(f"{_WORK}*"):
        owner = left.name.removeprefix(_WORK).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_WORK}{os.getpid()}-", dir=parent) as directory:
        yield Path(directory)


def verify(path: Path) -> Manifest:
    """Read the whole file. Raises ClusterError naming it and what is wrong."""
    with opened(path) as (manifest, _):
        return manifest


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, Path]]:
    """A verified backup, unpacked into a temporary directory for as long as the context lasts."""
    with workspace(_roomy(path)) as work:
        try:
            _check_sum(path)
            manifest = _unpack(path, work)
            store_backup.verify(work / SNAPSHOT)
        except FileNotFoundError as error:
            raise ClusterError(
                f"{error.filename}: there is no such file", "name a file made by kuberaft backup"
            ) from error
        except (tarfile.TarError, msgspec.DecodeError, StoreError, EOFError, KeyError, ValueError) as error:
            raise ClusterError(f"{path}: truncated or altered: {error}", "use another backup") from error
        except OSError as error:
            raise unusable(path, error) from error
        yield manifest, work


def _roomy(path: Path) -> Path | None:
    """Beside the backup, where there is room for such files; the system's place when that is read-only."""
    return path.parent if os.access(path.parent, os.W_OK) else None


def _pack(file: IO[bytes], layout: Layout, snapshot: Path, manifest: Manifest) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
        _add(archive, "topology.yaml", layout.topology.read_bytes())
        for path in sorted(layout.pki.rglob("*")):
            if path.is_file():
                _add(archive, f"pki/{path.relative_to(layout.pki)}", path.read_bytes())
        archive.add(snapshot, SNAPSHOT, filter=_anonymous)
    file.write(_TRAILER + _digest(file, file.tell()).encode() + b"\n")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _digest(file: IO[bytes], size: int) -> str:
    """SHA-256 of the first `size` bytes; the file stands behind them afterwards."""
    file.flush()
    file.seek(0)
    digest = hashlib.sha256()
    left = size
    while left and (block := file.read(min(_BLOCK, left))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def _check_sum(path: Path) -> None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - _TRAILER_SIZE
        if size < 0:
            raise ValueError("it is too short")
        actual = _digest(file, size)
        trailer = file.read(_TRAILER_SIZE)
    if trailer != _TRAILER + actual.encode() + b"\n":
        raise ValueError("the checksum at its end does not fit")


def _unpack(path: Path, directory: Path) -> Manifest:
    with tarfile.open(path, "r:") as archive:
        for entry in archive:
            _extract(archive, entry, directory)
    manifest = msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)
    if manifest.format != FORMAT:
        raise ValueError(f"its format is {manifest.format!r}, this version reads {FORMAT!r}")
    return manifest


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo, directory: Path) -> None:
    """Files only, and only inside the directory. (`extractall` checks that much only since Python 3.11.4.)"""
    content = archive.extractfile(entry) if entry.isreg() else None
    if content is None or ".." in Path(entry.name).parts or Path(entry.name).is_absolute():
        raise ValueError(f"it holds {entry.name!r}, which no backup has")
    target = directory / entry.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)
    target.chmod(0o600)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
