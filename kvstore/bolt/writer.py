"""Writes a bbolt file in one pass: sorted items in, full pages out, nothing kept but the first key of each page.

The tree of a bucket grows from its leaves up, so every reference points backwards, except those of the two
meta pages at the start; they are written last, into the place left for them. Fed by `kvstore.bolt.export`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import accumulate, chain, repeat
from operator import sub
from typing import IO

from kvstore.bolt.format import (
    BRANCH,
    BRANCH_ELEMENT,
    BUCKET,
    BUCKET_HEADER,
    FREELIST,
    LEAF,
    LEAF_ELEMENT,
    PAGE_HEADER,
    PAGE_SIZE,
    Meta,
    pack_meta,
)

Cell = tuple[int, bytes]
"""Size of the key, and key and value as one."""

_ROOM = PAGE_SIZE - PAGE_HEADER.size
_ELEMENT = LEAF_ELEMENT.size
_INLINE = 256
"""Bytes. bbolt inlines up to a quarter of a page; with less, all buckets of etcd fit one root page."""
_WRITE = 1 << 20
_FREELIST_PAGE = 2


Child = tuple[bytes, int]
"""First key and number of a page that a branch page refers to."""


class PageWriter:
    """Pages one after the other, from number `first` on."""

    def __init__(self, file: IO[bytes], first: int = 0) -> None:
        self.next = first
        self._file = file
        self._buffer: list[bytes] = []
        self._buffered = 0

    def emit(self, data: bytes) -> None:
        """One page with its overflow."""
        self.next += len(data) // PAGE_SIZE
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered >= _WRITE:
            self.flush()

    def flush(self) -> None:
        self._file.writelines(self._buffer)
        self._buffer = []
        self._buffered = 0

    def leaves(self, cells: Iterable[Cell]) -> list[Child]:
        found: list[Child] = []
        page: list[Cell] = []
        room = _ROOM
        for cell in cells:
            room -= _ELEMENT + len(cell[1])
            if room < 0 and page:
                found.append((_key(page[0]), self.next))
                self.emit(_leaf(self.next, page))
                page = []
                room = _ROOM - _ELEMENT - len(cell[1])
            page.append(cell)
        if page:
            found.append((_key(page[0]), self.next))
            self.emit(_leaf(self.next, page))
        return found

    def splice(self, leaves: IO[bytes]) -> list[Child]:
        """Append the leaf pages that another writer numbered from 0 on."""
        self.flush()
        found: list[Child] = []
        overflow = 0
        while data := bytearray(leaves.read(_WRITE)):
            at = overflow * PAGE_SIZE
            while at < len(data):
                number = self.next + at // PAGE_SIZE
                overflow = PAGE_HEADER.unpack_from(data, at)[3]
                data[at : at + 8] = number.to_bytes(8, "little")
                element = at + PAGE_HEADER.size
                _, position, size, _ = LEAF_ELEMENT.unpack_from(data, element)
                found.append((bytes(data[element + position : element + position + size]), number))
                at += (1 + overflow) * PAGE_SIZE
            overflow = (at - len(data)) // PAGE_SIZE
            self._file.write(data)
            self.next += len(data) // PAGE_SIZE
        return found

    def branches(self, children: list[Child]) -> int:
        """Branch pages above these pages, level by level; the root's number."""
        while len(children) > 1:
            found = []
            for group in _groups(children):
                found.append((group[0][0], self.next))
                self.emit(_branch(self.next, group))
            children = found
        return children[0][1]


class FileWriter:
    """Buckets are added one after the other; `finish` makes it a database. The file must be empty."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file.write(bytes(2 * PAGE_SIZE))
        self._pages = PageWriter(file, _FREELIST_PAGE)
        self._pages.emit(_pad(PAGE_HEADER.pack(_FREELIST_PAGE, FREELIST, 0, 0)))
        self._buckets: list[tuple[bytes, bytes]] = []

    def bucket(self, name: bytes, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A bucket of items in ascending order of their keys."""
        self.bucket_of_cells(name, ((len(key), key + value) for key, value in items))

    def bucket_of_cells(
        self, name: bytes, cells: Iterable[Cell], more: Callable[[], IO[bytes]] | None = None
    ) -> None:
        """`more` is asked afterwards for leaf pages of the cells that follow (`PageWriter.splice`)."""
        first, rest = _take(cells)
        if rest is None and more is None:
            self._buckets.append((name, BUCKET_HEADER.pack(0, 0) + _unpadded_leaf(0, first)))
            return
        children = self._pages.leaves(chain(first, rest or ()))
        if more:
            children += self._pages.splice(more())
        self._buckets.append((name, BUCKET_HEADER.pack(self._pages.branches(children), 0)))

    def finish(self) -> int:
        """The file's size in bytes. It is not synced."""
        items = sorted(self._buckets)
        root = self._pages.next
        self._pages.emit(_leaf(root, [(len(name), name + value) for name, value in items], BUCKET))
        self._pages.flush()
        pages = self._pages.next
        for page, transaction in ((0, 2), (1, 1)):
            meta = Meta(PAGE_SIZE, root, _FREELIST_PAGE, pages, transaction)
            self._file.seek(page * PAGE_SIZE)
            self._file.write(pack_meta(page, meta))
        return pages * PAGE_SIZE


def _take(cells: Iterable[Cell]) -> tuple[list[Cell], Iterable[Cell] | None]:
    """The first cells and, if all of them together are too many for an inline bucket, the others."""
    iterator = iter(cells)
    first: list[Cell] = []
    size = 0
    for cell in iterator:
        first.append(cell)
        size += _ELEMENT + len(cell[1])
        if size > _INLINE:
            return first, iterator
    return first, None


def _key(cell: Cell) -> bytes:
    return cell[1][: cell[0]]


def _leaf(page: int, cells: list[Cell], flags: int = 0) -> bytes:
    """A leaf page with its overflow."""
    return _pad(_unpadded_leaf(page, cells, flags))


def _unpadded_leaf(page: int, cells: list[Cell], flags: int = 0) -> bytes:
    keys = [size for size, _ in cells]
    data = [content for _, content in cells]
    sizes = list(map(len, data))
    positions = accumulate([size - _ELEMENT for size in sizes], initial=_ELEMENT * len(cells))
    fields = chain.from_iterable(zip(repeat(flags), positions, keys, map(sub, sizes, keys)))
    elements = struct.pack(f"<{4 * len(cells)}I", *fields)
    return _page(page, LEAF, len(cells), elements + b"".join(data))


def _branch(page: int, children: list[Child]) -> bytes:
    position = BRANCH_ELEMENT.size * len(children)
    elements = []
    for key, child in children:
        elements.append(BRANCH_ELEMENT.pack(position, len(key), child))
        position += len(key) - BRANCH_ELEMENT.size
    return _pad(_page(page, BRANCH, len(children), b"".join(elements + [key for key, _ in children])))


def _page(page: int, kind: int, count: int, content: bytes) -> bytes:
    size = PAGE_HEADER.size + len(content)
    overflow = (size - 1) // PAGE_SIZE
    return PAGE_HEADER.pack(page, kind, count, overflow) + content


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % PAGE_SIZE)


def _groups(children: list[Child]) -> Iterable[list[Child]]:
    """Children of one branch page each: as many as fit beside the longest key, spread evenly."""
    longest = max(len(key) for key, _ in children)
    fit = max(2, _ROOM // (BRANCH_ELEMENT.size + longest))
    count = -(-len(children) // fit)
    for i in range(count):
        yield children[i * len(children) // count : (i + 1) * len(children) // count]
