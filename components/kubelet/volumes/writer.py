"""Writes a volume's files so that a reader sees the old set or the new set, never a mixture.

As the original's AtomicWriter: files live in a directory named by time, `..data` is a link to it that is
replaced in one rename, and the visible names are links through `..data`. The inode of the mounted
directory never changes, so a bind mount in a running container sees updates.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from components.kubelet.volumes.payload import Payload


def write(directory: Path, payload: Payload) -> bool:
    """Make `directory` show exactly `payload`; False if it already did."""
    data = directory / "..data"
    old = os.readlink(data) if data.is_symlink() else None
    if old is not None and _same(directory / old, payload):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..2", dir=directory))
    os.chmod(fresh, 0o755)
    for path, (content, mode) in payload.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        os.chmod(target, mode)
    link = directory / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    os.replace(link, data)
    _show(directory, {path.split("/")[0] for path in payload})
    if old is not None:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _show(directory: Path, names: set[str]) -> None:
    for name in names:
        if not os.path.lexists(directory / name):
            (directory / name).symlink_to(f"..data/{name}")
    for entry in list(directory.iterdir()):
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()


def _same(directory: Path, payload: Payload) -> bool:
    present = {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}
    if present != set(payload):
        return False
    return all((directory / path).read_bytes() == content for path, (content, _) in payload.items())
