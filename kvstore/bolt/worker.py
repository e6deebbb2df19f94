"""The process that writes a snapshot file: `python -m kvstore.bolt.worker DB_DIRECTORY FILE < members`.

Started by `kvstore.bolt.stream`. It opens the member's LMDB beside the member, for reading only; a read
transaction keeps the pages of the last commit until it is done. Members come as JSON on the standard input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cbor2
import lmdb
import msgspec

from kvstore.backend import STATE_KEY, TABLES, StoredState
from kvstore.bolt.export import Items, write
from kvstore.types import MemberInfo

_MAP = 1 << 40
"""Bytes of address space; the file decides how much of it there is."""


class LmdbSource:
    """`kvstore.bolt.export.Source`: one read transaction on a database that another process may be writing."""

    def __init__(self, environment: Any, transaction: Any) -> None:
        self._environment = environment
        self._transaction = transaction
        state = dict(self.table("meta")).get(STATE_KEY)
        self.state = msgspec.convert(cbor2.loads(state), StoredState) if state else StoredState()

    def table(self, name: str) -> Items:
        try:
            table = self._environment.open_db(name.encode(), self._transaction, create=False)
        except lmdb.NotFoundError:
            return ()
        return self._items(table)

    def _items(self, table: Any) -> Iterator[tuple[bytes, bytes]]:
        with self._transaction.cursor(table) as cursor:
            yield from cursor.iternext()


@contextmanager
def reading(directory: Path) -> Iterator[LmdbSource]:
    """The last commit. Not in a process that has the same directory open already: LMDB forbids it."""
    environment = lmdb.open(
        str(directory), readonly=True, map_size=_MAP, max_dbs=2 * len(TABLES), max_spare_txns=0
    )
    try:
        with environment.begin() as transaction:
            yield LmdbSource(environment, transaction)
    finally:
        environment.close()


def main() -> None:
    directory, file = map(Path, sys.argv[1:])
    members = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[MemberInfo, ...])
    with reading(directory) as source, open(file, "wb") as out:
        write(out, source, members)


if __name__ == "__main__":
    main()
