"""(P) Records of the history table as leaf pages of etcd's `key` bucket, a page at a time.

    history: revision -> head, key, value           (`kvstore.mvcc.record`)
    key:     main _ sub, 17 bytes, 18 for a tombstone -> mvccpb.KeyValue

A snapshot has a million of these and little else, so `leaves` has no call of Python's per record for what is usual:
no lease, no tombstone, sizes of two digits at most. Fed by `kvstore.bolt.export` and `helper`, read by `writer`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from kvstore.bolt.proto import SHORT, TWO, int64, varint
from kvstore.bolt.writer import ELEMENT, ROOM, Leaf, element_table
from kvstore.mvcc import record

Items = Iterable[tuple[bytes, bytes]]

_HEAD = struct.Struct("<QQq12xI").unpack_from
"""`record.HEAD` without the record before."""
_KEY_FIELD = [b"\n" + size for size in SHORT]
_VALUE_FIELD = [b"*" + size for size in SHORT]
_NO_REVISION = b"\xff" * 8
_LIVE, _TOMBSTONE = 17, 18
"""Bytes of a key of the bucket."""


def leaves(history: Items, revision: int) -> Iterator[Leaf]:
    """If the store's revision has no record, one without content stands for it, as `etcdutl snapshot restore
    --bump-revision` writes it."""
    join, unpack, head = b"".join, _HEAD, record.HEAD_SIZE
    key_field, value_field, short = _KEY_FIELD, _VALUE_FIELD, SHORT
    main, number, prefix, mod, same = _NO_REVISION, 1, b"", b"", b""
    cells: list[bytes] = []
    sizes: list[int] = []
    dead: list[int] = []
    room = ROOM
    for at, data in history:
        if not at.startswith(main):
            main = at[:8]
            number = int.from_bytes(main, "big")
            prefix, mod = main + b"_\0\0\0\0", b"\x18" + varint(number) + b" "
            same = b"\x10" + mod[1:-1] + mod
        create, version, lease, size = unpack(data)
        end = head + size
        left = len(data) - end
        if lease or not left or left >= TWO or size >= TWO or not 0 < version < TWO:
            cell = join((prefix, at[8:], _unusual(data, mod)))
        else:
            created = same if create == number else b"\x10" + varint(create) + mod
            cell = join(
                (
                    prefix,
                    at[8:],
                    key_field[size],
                    data[head:end],
                    created,
                    short[version],
                    value_field[left],
                    data[end:],
                )
            )
        taken = len(cell)
        room -= ELEMENT + taken
        if room < 0 and cells:
            yield _leaf(cells, sizes, dead)
            cells, sizes, dead = [], [], []
            room = ROOM - ELEMENT - taken
        if not version:
            dead.append(len(cells))
        cells.append(cell)
        sizes.append(taken)
    if number < revision:
        cells.append(revision_key(revision, 0))
        sizes.append(_LIVE)
    if cells:
        yield _leaf(cells, sizes, dead)


def revision_key(main: int, sub: int) -> bytes:
    return main.to_bytes(8, "big") + b"_" + sub.to_bytes(8, "big")


def _unusual(data: bytes, mod: bytes) -> bytes:
    """What follows the revision, for any record."""
    create, version, lease, size = _HEAD(data)
    end = record.HEAD_SIZE + size
    key = b"\n" + varint(size) + data[record.HEAD_SIZE : end]
    if not version:
        return b"t" + key
    value = b"*" + varint(len(data) - end) + data[end:] if len(data) > end else b""
    hold = b"0" + int64(lease) if lease else b""
    return b"".join((key, b"\x10", varint(create), mod, varint(version), value, hold))


def _leaf(cells: list[bytes], sizes: list[int], dead: list[int]) -> Leaf:
    first = cells[0][: _TOMBSTONE if dead and not dead[0] else _LIVE]
    return first, len(cells), _table(tuple(sizes), tuple(dead)) + b"".join(cells)


@lru_cache(maxsize=1024)
def _table(sizes: tuple[int, ...], dead: tuple[int, ...]) -> bytes:
    """Remembered, because values of one kind are often of one size."""
    keys = [_LIVE] * len(sizes)
    for at in dead:
        keys[at] = _TOMBSTONE
    return element_table(keys, sizes)
