"""bbolt's file format: what a page, an element and a meta page look like as bytes.

A file is an array of pages. Pages 0 and 1 are meta pages, the valid one with the higher transaction number
counts. A bucket is a B+tree of branch pages (first key and page of every child) and leaf pages (keys and
values); the values of the root bucket are buckets. A page that needs more room goes on in the pages after it
(`overflow`). A small bucket has no pages but sits, as one leaf page, in its parent's value ("inline").

Source: go.etcd.io/bbolt, page.go, bucket.go, meta.go. Used by `writer` and `reader`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

PAGE_SIZE = 4096
"""Of files written here. A reader takes it from the meta page."""

BRANCH = 0x01
LEAF = 0x02
META = 0x04
FREELIST = 0x10

BUCKET = 0x01
"""Flag of a leaf element whose value is a bucket."""

MAGIC = 0xED0CDAED
VERSION = 2

PAGE_HEADER = struct.Struct("<QHHI")
"""Page id, flags, count of elements, overflow."""
LEAF_ELEMENT = struct.Struct("<IIII")
"""Flags, position from the start of this element, size of the key, size of the value."""
BRANCH_ELEMENT = struct.Struct("<IIQ")
"""Position from the start of this element, size of the key, page id."""
BUCKET_HEADER = struct.Struct("<QQ")
"""Root page (0: inline), sequence."""

_META = struct.Struct("<IIIIQQQQQ")
_CHECKSUM = struct.Struct("<Q")
META_SIZE = _META.size + _CHECKSUM.size

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


class Meta(NamedTuple):
    """`pages`: number of pages of the file, which bbolt calls the high water mark."""

    page_size: int
    root: int
    freelist: int
    pages: int
    transaction: int


def checksum(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return value


def pack_meta(page: int, meta: Meta) -> bytes:
    """The whole page."""
    size, root, freelist, pages, transaction = meta
    fields = _META.pack(MAGIC, VERSION, size, 0, root, 0, freelist, pages, transaction)
    content = PAGE_HEADER.pack(page, META, 0, 0) + fields + _CHECKSUM.pack(checksum(fields))
    return content.ljust(size, b"\0")


def unpack_meta(page: bytes) -> Meta | None:
    """The meta page's content, or None if these bytes are no valid meta page."""
    start = PAGE_HEADER.size
    fields, stated = page[start : start + _META.size], page[start + _META.size : start + META_SIZE]
    if len(stated) < _CHECKSUM.size or _CHECKSUM.unpack(stated)[0] != checksum(fields):
        return None
    magic, version, size, _, root, _, freelist, pages, transaction = _META.unpack(fields)
    if magic != MAGIC or version != VERSION:
        return None
    return Meta(size, root, freelist, pages, transaction)
