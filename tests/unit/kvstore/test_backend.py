"""What the database's errors are told as: the file, and the remedy that fits."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import lmdb
import pytest

from kvstore.backend import translated
from kvstore.errors import DataDirUnusable, DiskFull, StoreError

CUT_SHORT = lmdb.Error(f"mdb_txn_commit: {os.strerror(errno.EIO)}")


@pytest.mark.parametrize(
    ("error", "free", "told_as", "remedy"),
    [
        (CUT_SHORT, 4096, DiskFull, "free some"),
        (CUT_SHORT, 1 << 30, DataDirUnusable, "check the disk"),
        (OSError(errno.ENOSPC, "no space"), 1 << 30, DiskFull, "free some"),
        (OSError(errno.EACCES, "permission denied"), 1 << 30, DataDirUnusable, "may write to it"),
    ],
)
def test_a_failed_write_is_told_by_its_cause(
    error: Exception,
    free: int,
    told_as: type[StoreError],
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(told_as, match=remedy) as caught, translated(tmp_path):
        raise error
    assert str(tmp_path) in str(caught.value)
