"""What the pure core needs of a storage engine: four ordered tables of bytes, read through their own writes.

Owned by its users, `kvstore.mvcc`, `kvstore.lease` and `kvstore.auth`; implemented by `kvstore.backend` on
LMDB and by a dict in the tests. Durability, transactions and the Raft index are the implementation's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Table(Protocol):
    """An ordered map. A scan is consumed before the table is written again."""

    def get(self, key: bytes, /) -> bytes | None: ...

    def put(self, key: bytes, value: bytes, /) -> object: ...

    def append(self, key: bytes, value: bytes, /) -> object:
        """Put behind all other keys."""

    def delete(self, key: bytes, /) -> object: ...

    def scan(self, start: bytes, end: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """Items of [start, end) in key order; `end` b"" is no bound."""

    def items(self, start: bytes, end: bytes, /) -> list[tuple[bytes, bytes]]:
        """All of `scan` at once."""

    def get_many(self, keys: list[bytes], /) -> list[bytes]:
        """The values of the keys, in their order. Raises `LookupError` if one is not there."""


class Backend(Protocol):
    """`history` maps a revision to its record, `leases` a lease to its terms, `attached` a lease and a key's
    digest to the key; `auth` holds users and roles."""

    @property
    def history(self) -> Table: ...

    @property
    def leases(self) -> Table: ...

    @property
    def attached(self) -> Table: ...

    @property
    def auth(self) -> Table: ...
