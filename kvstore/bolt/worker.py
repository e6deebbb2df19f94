"""The process that writes a snapshot file: `python -m kvstore.bolt.worker DB_DIRECTORY FILE < members`.

Started by `kvstore.bolt.stream`. It opens the member's LMDB beside the member, for reading only; a read
transaction keeps the pages of the last commit until it is done. Members come as JSON on the standard input.
Where there is another processor and much to do, a second process makes the pages of the later half of the
records (`kvstore.bolt.helper`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cbor2
import lmdb
import msgspec

from kvstore.backend import DATA_FILE, STATE_KEY, TABLES, StoredState
from kvstore.bolt.export import write
from kvstore.bolt.records import Items
from kvstore.types import MemberInfo

_MAP = 1 << 40
"""Bytes of address space; the file decides how much of it there is."""
_WORTH_TWO = 16 << 20
"""Bytes of a database; a smaller one is done before a second process has begun."""


class LmdbSource:
    """`kvstore.bolt.export.Source`: one read transaction on a database that another process may be writing.

    A context manager. `id` is the transaction's: sources of the same id see the same.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._transaction = environment.begin()
        self.id = int(self._transaction.id())
        state = dict(self.table("meta")).get(STATE_KEY)
        self.state = msgspec.convert(cbor2.loads(state), StoredState) if state else StoredState()

    def __enter__(self) -> LmdbSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._transaction.abort()

    def table(self, name: str, start: bytes = b"", end: bytes = b"") -> Items:
        try:
            table = self._environment.open_db(name.encode(), self._transaction, create=False)
        except lmdb.NotFoundError:
            return ()
        return self._items(table, start, end)

    def bounds(self, name: str) -> tuple[bytes, bytes] | None:
        """The first and the last key of a table, if it has any."""
        table = self._environment.open_db(name.encode(), self._transaction, create=False)
        with self._transaction.cursor(table) as cursor:
            if not cursor.last():
                return None
            last = bytes(cursor.key())
            cursor.first()
            return bytes(cursor.key()), last

    def _items(self, table: Any, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._transaction.cursor(table) as cursor:
            if not (cursor.set_range(start) if start else cursor.first()):
                return
            if not end:
                yield from cursor.iternext()
                return
            for item in cursor.iternext():
                if item[0] >= end:
                    return
                yield item


@contextmanager
def opened(directory: Path) -> Iterator[Any]:
    """The environment. Not in a process that has the same directory open already: LMDB forbids it."""
    environment = lmdb.open(
        str(directory), readonly=True, map_size=_MAP, max_dbs=2 * len(TABLES), max_spare_txns=0
    )
    try:
        yield environment
    finally:
        environment.close()


@contextmanager
def reading(directory: Path) -> Iterator[LmdbSource]:
    """The last commit."""
    with opened(directory) as environment, LmdbSource(environment) as source:
        yield source


def main() -> None:
    directory, file = map(Path, sys.argv[1:])
    members = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[MemberInfo, ...])
    with open(file, "wb") as out:
        if (os.cpu_count() or 1) < 2 or (directory / DATA_FILE).stat().st_size < _WORTH_TWO:
            with reading(directory) as source:
                write(out, source, members)
        else:
            write_together(directory, out, members)


def write_together(directory: Path, out: IO[bytes], members: tuple[MemberInfo, ...]) -> None:
    from kvstore.bolt.helper import Helper

    with (
        Helper(directory, out.fileno()) as helper,
        opened(directory) as environment,
        helper.agreed(environment) as (source, share),
    ):
        write(out, source, members, share)


if __name__ == "__main__":
    main()
