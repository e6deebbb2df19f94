"""Small files, written so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from components.cluster.errors import ClusterError
from components.cluster.layout import unusable


def read(path: Path) -> bytes:
    """Raises ClusterError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClusterError(f"{path}: cannot be read: {error.strerror}", "restore it from a backup") from error


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` atomically, readable by its owner only. Raises ClusterError; leaves no
    temporary file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unusable(path, error) from error


def write_if_changed(path: Path, content: bytes) -> None:
    """As `write_private`, but a file that already says this is left alone."""
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    write_private(path, content)
