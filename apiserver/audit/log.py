"""The audit log's file. Entries wait in a bounded queue for a thread, so that no request waits for a disk.

An entry that finds the queue full is lost and counted. Files are rotated and named as the original's (lumberjack):
``audit-2026-01-31T12-30-00.000.log`` beside ``audit.log``; old ones go by number and by age. ``-`` is standard output.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from apiserver.audit.event import Entry, encode

log = logging.getLogger(__name__)

QUEUE: Final = 10_000
_CLOSE_SECONDS: Final = 5.0
_STAMP: Final = "%Y-%m-%dT%H-%M-%S.%f"


@dataclass(frozen=True, slots=True)
class Files:
    """``max_bytes``: then a new file; ``backups`` and ``days``: how many old ones are kept, 0 all of them."""

    path: Path
    max_bytes: int = 100 << 20
    backups: int = 0
    days: int = 0


class AuditLog:
    """``start`` opens the file and raises OSError; ``close`` writes what is queued."""

    def __init__(self, files: Files, written: Callable[[int], None], lost: Callable[[int], None]) -> None:
        self._files = files
        self._written, self._lost = written, lost
        self._queue: queue.Queue[Entry | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._file: BinaryIO | None = None
        self._size = 0

    def start(self) -> None:
        self._open()
        self._thread.start()

    def put(self, entry: Entry) -> None:
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._lost(1)

    def close(self) -> None:
        """Waits for the thread, a few seconds at most; call it off the event loop."""
        if not self._thread.is_alive():
            return
        try:
            self._queue.put(None, timeout=_CLOSE_SECONDS)
        except queue.Full:
            log.error("the audit log is stuck; what is queued is lost")
            return
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            batch, ended = [entry], False
            while not self._queue.empty() and len(batch) < QUEUE:
                more = self._queue.get_nowait()
                if more is None:
                    ended = True
                    break
                batch.append(more)
            self._write(batch)
            if ended:
                break
        if self._file is not None and self._file is not sys.stdout.buffer:
            self._file.close()

    def _write(self, batch: list[Entry]) -> None:
        try:
            for entry in batch:
                self._append(encode(entry))
            if self._file is not None:
                self._file.flush()
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            log.error("audit log %s: %s", self._files.path, error)
            self._lost(len(batch))
        else:
            self._written(len(batch))

    def _append(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._files.max_bytes and str(self._files.path) != "-":
            self._rotate()
        assert self._file is not None
        self._file.write(line)
        self._size += len(line)

    def _open(self) -> None:
        path = self._files.path
        if str(path) == "-":
            self._file = sys.stdout.buffer
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        path.chmod(0o600)
        self._size = self._file.tell()

    def _rotate(self) -> None:
        """Raises OSError; then the old file stays open, and the next entry tries again."""
        old, path, now = self._file, self._files.path, datetime.now(UTC)
        assert old is not None
        if path.exists():
            path.rename(self._free_name(now))
        self._open()
        old.close()
        for backup in expired(self._backups(), self._files, now):
            backup.unlink(missing_ok=True)

    def _free_name(self, now: datetime) -> Path:
        """Of the first millisecond from ``now`` on that has no file yet."""
        path = self._files.path
        while True:
            found = path.with_name(f"{path.stem}-{now.strftime(_STAMP)[:-3]}{path.suffix}")
            if not found.exists():
                return found
            now += timedelta(milliseconds=1)

    def _backups(self) -> list[Path]:
        path = self._files.path
        return list(path.parent.glob(f"{path.stem}-*{path.suffix}"))


def expired(found: list[Path], files: Files, now: datetime) -> list[Path]:
    """The old files that are too many or too old."""
    dated = ((_when(path, files.path), path) for path in found)
    known = sorted(((when, path) for when, path in dated if when is not None), reverse=True)
    gone = [path for _, path in known[files.backups :]] if files.backups else []
    if files.days:
        limit = now - timedelta(days=files.days)
        gone += [path for when, path in known if when < limit and path not in gone]
    return gone


def _when(path: Path, base: Path) -> datetime | None:
    text = path.name.removeprefix(f"{base.stem}-").removesuffix(base.suffix)
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
