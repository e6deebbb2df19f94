"""Revisions and the records they name, as bytes.

A revision is `(main, sub)`: `main` counts write transactions, `sub` the changes within one. As bytes it is 12
bytes big-endian, so byte order is revision order. A record of the history table says all there is to know of
one change, and points to the one before it of the same key:

    put a 1   at 5.0   record 5.0: key a, version 1, previous -      live:    a -> 5.0
    put a 2   at 6.0   record 6.0: key a, version 2, previous 5.0    live:    a -> 6.0
    delete a  at 7.1   record 7.1: key a, version 0, previous 6.0    deleted: a -> 7.1
    put a 3   at 9.0   record 9.0: key a, version 1, previous 7.1    live:    a -> 9.0

A reader at revision 6 starts at `live` (or `deleted`) and follows `previous` to the first record not above
6. So the history of a key is a chain, and nothing but these records has to be kept in step.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from kvstore.types import KeyValue

NONE = bytes(12)
"""No revision: what `previous` of a key's first record holds. Smaller than every real one."""

TOMBSTONE = bytes(8)
"""The version in a record that is a deletion."""

_REVISION = struct.Struct(">QI")
HEAD = struct.Struct("<QQq12sI")
HEAD_SIZE = HEAD.size
VERSION_AND_LENGTH = struct.Struct("<8xQ20xI").unpack_from
"""Of a record: its version, and how long its key is."""

pack_revision = _REVISION.pack


def unpack_revision(revision: bytes) -> tuple[int, int]:
    main, sub = _REVISION.unpack(revision)
    return main, sub


def main_of(revision: bytes) -> int:
    return int.from_bytes(revision[:8], "big")


class Record(NamedTuple):
    """One change. `version` 0 is a deletion (a tombstone)."""

    kv: KeyValue
    previous: bytes


def encode(kv: KeyValue, previous: bytes) -> bytes:
    """`kv.mod_revision` is not in it: it is the record's name."""
    head = HEAD.pack(kv.create_revision, kv.version, kv.lease, previous, len(kv.key))
    return head + kv.key + kv.value


def decode(revision: bytes, data: bytes) -> Record:
    create_revision, version, lease, previous, length = HEAD.unpack_from(data)
    end = HEAD_SIZE + length
    main = int.from_bytes(revision[:8], "big")
    kv = KeyValue(data[HEAD_SIZE:end], data[end:], create_revision, main, version, lease)
    return Record(kv, previous)


def value_of(revision: bytes, data: bytes) -> KeyValue:
    """`decode(...).kv` without the rest."""
    create_revision, version, lease, _, length = HEAD.unpack_from(data)
    end = HEAD_SIZE + length
    main = int.from_bytes(revision[:8], "big")
    return KeyValue(data[HEAD_SIZE:end], data[end:], create_revision, main, version, lease)


def previous_of(data: bytes) -> bytes:
    """`decode(...).previous` without the rest."""
    return data[24:36]


def with_previous(data: bytes, previous: bytes) -> bytes:
    """The same record, pointing to another one before it."""
    return data[:24] + previous + data[36:]


def is_tombstone(data: bytes) -> bool:
    return data[8:16] == TOMBSTONE


def key_of(data: bytes) -> bytes:
    length = int.from_bytes(data[36:40], "little")
    return data[HEAD_SIZE : HEAD_SIZE + length]
