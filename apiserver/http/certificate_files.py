"""Files of certificates that are replaced while the server runs: when they have changed.

Used by `tls` (what is served, and whom it trusts) and by `kubelet_client`. What to do about a change is theirs; files
that do not fit together leave what is in use as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CHECK_SECONDS: Final = 1.0
Stamp = tuple[tuple[int, int, int] | None, ...]


class CertificateFiles:
    """`changed` is true once for each change, also when a file vanishes or comes back."""

    def __init__(self, paths: Iterable[Path | None]) -> None:
        self._paths = [path for path in paths if path is not None]
        self._seen = self._stamp()

    def changed(self) -> bool:
        """To be asked before the files are read: a change that comes while they are is seen the next time."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        return True

    def __str__(self) -> str:
        return ", ".join(map(str, self._paths))

    def _stamp(self) -> Stamp:
        return tuple(_stamp_of(path) for path in self._paths)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
