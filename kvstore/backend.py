"""LMDB: where the applied state lives, together with the Raft index up to which it was applied.

Fed by `kvstore.mvcc` and `kvstore.lease` through the tables, driven by `kvstore.statemachine`, which calls
`commit` a few times a second. Everything in between goes into one open write transaction and is read back
through it, so a put costs no system call. A crash loses what was not committed; the Raft log replays it.

Durability. `commit` writes new pages, waits for the disk (fdatasync), then writes the page that makes them
current without waiting (MDB_NOMETASYNC). LMDB never overwrites a page of the current or the previous state,
so a power loss at any moment leaves one of these two, whole; which of the two is not known until the next
commit has synced that page as well. Therefore `durable` is the state *before* the last commit until `sync`
or another commit. MDB_NOSYNC and MDB_WRITEMAP are not used: the first may leave a state that mixes both,
the second turns a full disk into SIGBUS.

One process per directory (`LOCK`). All calls but `copy` and those of a `View` come from one thread.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cbor2
import lmdb
import msgspec

from kvstore import telemetry
from kvstore.errors import DataCorrupt, DataDirLocked, DataDirUnusable, DiskFull, Stopped, StoreError
from kvstore.types import MemberInfo

DATA_FILE = "data.mdb"
LOCK_FILE = "kvstore.lock"
TABLES = ("history", "leases", "attached", "meta", "auth")
_FORMER_TABLES = ("live", "deleted")
"""What earlier versions also stored, and `kvstore.mvcc.keyindex` now holds in memory."""

STATE_KEY = b"state"
_SMALLEST_MAP = 16 << 30
"""Bytes of address space, not of memory or disk: the file grows as it is written."""
_VIEW_BATCH = 1000
_ROOM_FOR_A_WRITE = 1 << 20
"""Bytes: a disk with less is full for LMDB, which writes many pages at once."""


class StoredState(msgspec.Struct, frozen=True, array_like=True):
    """What goes with the data into every commit: Raft position, counters and alarms of the applied state."""

    index: int = 0
    term: int = 0
    revision: int = 1
    compact_revision: int = 0
    compacted: int = 0
    alarms: tuple[tuple[int, int], ...] = ()
    own_alarms: tuple[tuple[int, int], ...] = ()
    members: tuple[MemberInfo, ...] = ()
    removed_members: tuple[int, ...] = ()
    cluster_id: int = 0


class LmdbTable:
    """One ordered table, read and written through the backend's open transaction."""

    get: Callable[[bytes], bytes | None]
    put: Callable[[bytes, bytes], object]
    append: Callable[[bytes, bytes], object]
    delete: Callable[[bytes], object]

    def __init__(self, db: Any) -> None:
        self.db = db

    def bind(self, txn: Any) -> None:
        """Use this transaction from now on."""
        db = self.db
        get, put, delete = txn.get, txn.put, txn.delete
        self._txn = txn
        self.get = lambda key: get(key, None, db)
        self.put = lambda key, value: put(key, value, db=db)
        self.append = lambda key, value: put(key, value, append=True, db=db)
        self.delete = lambda key: delete(key, b"", db)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor(self.db) as cursor:
            if not cursor.set_range(start):
                return
            items = cursor.iternext()
            if not end:
                yield from items
                return
            for item in items:
                if item[0] >= end:
                    return
                yield item

    def items(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        with self._txn.cursor(self.db) as cursor:
            if not cursor.set_range(start):
                return []
            if not end:
                return list(cursor.iternext())
            found: list[tuple[bytes, bytes]] = []
            add = found.append
            for item in cursor.iternext():
                if item[0] >= end:
                    break
                add(item)
            return found

    def get_many(self, keys: list[bytes]) -> list[bytes]:
        # Faster than a cursor's getmulti unless the keys are in order, which those of a range seldom are.
        get, db = self._txn.get, self.db
        found = [get(key, None, db) for key in keys]
        if None in found:
            raise LookupError(f"{found.count(None)} of {len(keys)} keys are not there")
        return found

    def pages(self) -> int:
        stat = self._txn.stat(self.db)
        return int(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])


class View:
    """The state of one commit, standing still while others go on; for one thread, in batches.

    `end` may be called from another thread, and must be before the database is closed under it.
    """

    def __init__(self, env: Any, table: LmdbTable) -> None:
        self._lock = threading.Lock()
        self._txn: Any = env.begin()
        self._db = table.db

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As `Table.scan`, leaving the interpreter to other threads now and then. Raises `Stopped`."""
        batch: list[tuple[bytes, bytes]] = []
        while True:
            batch = self._batch(start, end)
            yield from batch
            if len(batch) < _VIEW_BATCH:
                return
            start = batch[-1][0] + b"\0"
            time.sleep(0.001)

    def _batch(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        with self._lock:
            if self._txn is None:
                raise Stopped
            with self._txn.cursor(self._db) as cursor:
                if not cursor.set_range(start):
                    return []
                items = itertools.islice(cursor.iternext(), _VIEW_BATCH)
                return list(itertools.takewhile(lambda item: item[0] < end, items) if end else items)

    def end(self) -> None:
        with self._lock:
            if self._txn is not None:
                self._txn.abort()
                self._txn = None


class LmdbBackend:
    """The tables, their commits and copies.

    `state` is what the last commit held, `durable` what survives power loss.
    """

    history: LmdbTable
    leases: LmdbTable
    attached: LmdbTable
    meta: LmdbTable
    auth: LmdbTable

    def __init__(self, path: Path, quota_bytes: int) -> None:
        self.path = path
        self._lock = _lock(path)
        try:
            with translated(path):
                self._open(quota_bytes)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, quota_bytes: int) -> None:
        file = self.path / DATA_FILE
        size = file.stat().st_size if file.exists() else 0
        self._env = lmdb.open(
            str(self.path),
            map_size=max(_SMALLEST_MAP, 8 * quota_bytes, 8 * size),
            max_dbs=len(TABLES) + len(_FORMER_TABLES),
            metasync=False,
        )
        self._views: weakref.WeakSet[View] = weakref.WeakSet()
        self._page_size = int(self._env.stat()["psize"])
        self._tables = [LmdbTable(self._env.open_db(name.encode())) for name in TABLES]
        self.history, self.leases, self.attached, self.meta, self.auth = self._tables
        self._begin()
        self._drop_former()
        self.state = self.durable = self._read_state()

    def _drop_former(self) -> None:
        """Free their pages; goes to disk with the next commit."""
        for name in _FORMER_TABLES:
            with suppress(lmdb.NotFoundError):
                self._txn.drop(self._env.open_db(name.encode(), self._txn, create=False))

    def _begin(self) -> None:
        self._txn = self._env.begin(write=True)
        for table in self._tables:
            table.bind(self._txn)

    def _read_state(self) -> StoredState:
        data = self.meta.get(STATE_KEY)
        if data is None:
            return StoredState()
        try:
            return msgspec.convert(cbor2.loads(data), StoredState)
        except Exception as error:
            raise DataCorrupt(
                f"{self.path / DATA_FILE}: the stored state cannot be read ({error})"
            ) from error

    def commit(self, state: StoredState) -> None:
        """Make all writes so far, and `state`, current on disk in one step."""
        with translated(self.path):
            self.meta.put(STATE_KEY, cbor2.dumps(msgspec.to_builtins(state)))
            started = time.perf_counter()
            self._txn.commit()
            telemetry.BACKEND_COMMIT.observe(time.perf_counter() - started)
            self.durable, self.state = self.state, state
            self._begin()

    def sync(self) -> None:
        """Wait until the last commit survives power loss."""
        with translated(self.path):
            self._env.sync(True)
            self.durable = self.state

    def view_history(self) -> View:
        """The last commit's history, for another thread."""
        view = View(self._env, self.history)
        self._views.add(view)
        return view

    def copy(self, directory: Path) -> None:
        """Copy the last committed state, without free pages, while others read and write. Any thread."""
        with translated(directory):
            directory.mkdir(parents=True)
            self._env.copy(str(directory), compact=True)

    def size(self) -> int:
        """Bytes of the file, as of the last commit."""
        return (int(self._env.info()["last_pgno"]) + 1) * self._page_size

    def size_in_use(self) -> int:
        """Bytes of the pages that hold data; the rest of the file is reused before it grows."""
        try:
            return sum(table.pages() for table in self._tables) * self._page_size
        except lmdb.Error as error:  # after a commit that failed there is no transaction to ask
            raise Stopped from error

    def close(self) -> None:
        """Drop what is not committed and release the directory."""
        for view in list(self._views):
            view.end()
        self._txn.abort()
        self._env.close()
        os.close(self._lock)


def _lock(path: Path) -> int:
    with translated(path):
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DataDirLocked(
            f"{path}: in use by another process; stop it or choose another data directory"
        ) from error
    return descriptor


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of the system and of LMDB inside become the store's, with the path and a remedy."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise _translate(path, error) from error


def _translate(path: Path, error: Exception) -> StoreError:
    if isinstance(error, lmdb.MapFullError):
        return DiskFull(
            f"{path}: the mapping of the database is full; start the member again, which enlarges it"
        )
    if _is_disk_full(path, error):
        return DiskFull(
            f"{path}: no space left on the disk; free some, then start the member again ({error})"
        )
    if isinstance(
        error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError | lmdb.VersionMismatchError
    ):
        return DataCorrupt(
            f"{path / DATA_FILE}: not a readable database ({error}); move the member's data directory away,"
            " then let it rejoin the cluster or restore a backup"
        )
    if _is_io_error(error):
        return DataDirUnusable(f"{path}: {error}; check the disk, then start the member again")
    return DataDirUnusable(f"{path}: {error}; check that it exists and that this user may write to it")


def _is_disk_full(path: Path, error: Exception) -> bool:
    """LMDB calls a write cut short an input/output error; it is one if the disk has room."""
    if isinstance(error, lmdb.DiskError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    return _is_io_error(error) and shutil.disk_usage(path).free < _ROOM_FOR_A_WRITE


def _is_io_error(error: Exception) -> bool:
    return os.strerror(errno.EIO) in str(error)
