"""Writes a bbolt file in one pass: sorted items in, full pages out, nothing kept but the first key of each page.

The tree of a bucket grows from its leaves up, so every reference points backwards, except those of the two
meta pages at the start; they are written last, into the place left for them. The leaves of one bucket may come from
several processes that write into the same file (`Allocation`). Fed by `kvstore.bolt.export`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
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
Leaf = tuple[bytes, int, bytes]
"""The first key of a leaf page, the count of its elements, and all that follows the page's header."""
Child = tuple[bytes, int]
"""First key and number of a page that a branch page refers to."""

ROOM = PAGE_SIZE - PAGE_HEADER.size
ELEMENT = LEAF_ELEMENT.size
_INLINE = 256
"""Bytes. bbolt inlines up to a quarter of a page; with less, all buckets of etcd fit one root page."""
_WRITE = 1 << 20
_FREELIST_PAGE = 2


class Allocation:
    """Hands out the pages of a file in turns. The next one is where the descriptor stands, which processes that have
    inherited it share, and which the system moves for one of them at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def take(self, pages: int) -> int:
        """The number of the first of so many pages."""
        return os.lseek(self._descriptor, pages * PAGE_SIZE, os.SEEK_CUR) // PAGE_SIZE - pages


class PageWriter:
    """Writes pages where the file has room for them. Nothing is kept back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._allocation = Allocation(descriptor)

    def leaves(self, leaves: Iterable[Leaf]) -> list[Child]:
        found: list[Child] = []
        batch: list[Leaf] = []
        size = 0
        for leaf in leaves:
            batch.append(leaf)
            size += len(leaf[2])
            if size >= _WRITE:
                found += self._store(LEAF, batch)
                batch, size = [], 0
        return found + self._store(LEAF, batch)

    def page(self, kind: int, count: int, content: bytes) -> int:
        """One page with its overflow; its number."""
        return self._store(kind, [(b"", count, content)])[0][1]

    def branches(self, children: list[Child]) -> int:
        """Branch pages above these pages, level by level; the root's number."""
        while len(children) > 1:
            children = self._store(BRANCH, [_branch(group) for group in _groups(children)])
        return children[0][1]

    def write(self, number: int, data: bytes) -> None:
        view, at = memoryview(data), number * PAGE_SIZE
        while view:
            written = os.pwrite(self._descriptor, view, at)
            view, at = view[written:], at + written

    def _store(self, kind: int, pages: Sequence[Leaf]) -> list[Child]:
        """Pages of one kind, one behind the other, each with its overflow."""
        lengths = [(len(content) + PAGE_HEADER.size - 1) // PAGE_SIZE + 1 for _, _, content in pages]
        start = self._allocation.take(sum(lengths))
        numbers = list(accumulate(lengths, initial=start))
        parts: list[bytes] = []
        for (_, count, content), number, length in zip(pages, numbers, lengths, strict=False):
            parts += (PAGE_HEADER.pack(number, kind, count, length - 1), content)
            parts.append(bytes(length * PAGE_SIZE - PAGE_HEADER.size - len(content)))
        self.write(start, b"".join(parts))
        return [(page[0], number) for page, number in zip(pages, numbers, strict=False)]


class FileWriter:
    """Buckets are added one after the other; `finish` makes it a database. The file must be empty, and written to by
    nobody else; its position is no longer the caller's."""

    def __init__(self, file: IO[bytes]) -> None:
        self._pages = PageWriter(file.fileno())
        self._allocation = Allocation(file.fileno())
        self._allocation.take(_FREELIST_PAGE)
        self._freelist = self._pages.page(FREELIST, 0, b"")
        self._buckets: list[tuple[bytes, bytes]] = []

    def bucket(self, name: bytes, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A bucket of items in ascending order of their keys."""
        first, rest = _take((len(key), key + value) for key, value in items)
        if rest is None:
            self._inline(name, first)
        else:
            self._tree(name, self._pages.leaves(cell_leaves(first, rest)))

    def bucket_of_leaves(
        self, name: bytes, leaves: Iterable[Leaf], more: Callable[[], list[Child]] = list
    ) -> None:
        """`more` is asked afterwards for the pages that follow these, if another process writes them."""
        children = self._pages.leaves(leaves) + more()
        if children:
            self._tree(name, children)
        else:
            self._inline(name, [])

    def _tree(self, name: bytes, children: list[Child]) -> None:
        self._buckets.append((name, BUCKET_HEADER.pack(self._pages.branches(children), 0)))

    def _inline(self, name: bytes, cells: list[Cell]) -> None:
        page = PAGE_HEADER.pack(0, LEAF, len(cells), 0) + _elements(cells)
        self._buckets.append((name, BUCKET_HEADER.pack(0, 0) + page))

    def finish(self) -> int:
        """The file's size in bytes. It is not synced."""
        cells = [(len(name), name + value) for name, value in sorted(self._buckets)]
        root = self._pages.page(LEAF, len(cells), _elements(cells, BUCKET))
        pages = self._allocation.take(0)
        for page, transaction in ((0, 2), (1, 1)):
            meta = Meta(PAGE_SIZE, root, self._freelist, pages, transaction)
            self._pages.write(page, pack_meta(page, meta))
        return pages * PAGE_SIZE


def cell_leaves(first: Iterable[Cell], rest: Iterable[Cell]) -> Iterator[Leaf]:
    """Cells as pages that are as full as they can be."""
    page: list[Cell] = []
    room = ROOM
    for cell in chain(first, rest):
        taken = ELEMENT + len(cell[1])
        if taken > room and page:
            yield _key(page[0]), len(page), _elements(page)
            page, room = [], ROOM
        page.append(cell)
        room -= taken
    yield _key(page[0]), len(page), _elements(page)


def element_table(keys: Iterable[int], sizes: Sequence[int], flags: int = 0) -> bytes:
    """The elements of a leaf page, by the sizes of keys and of cells: two numbers of 64 bits each."""
    position = ELEMENT * len(sizes)
    fields: list[int] = []
    for key, size in zip(keys, sizes, strict=True):
        fields.append(flags | position << 32)
        fields.append(key | size - key << 32)
        position += size - ELEMENT
    return struct.pack(f"<{len(fields)}Q", *fields)


def _elements(cells: list[Cell], flags: int = 0) -> bytes:
    data = [content for _, content in cells]
    return element_table([key for key, _ in cells], list(map(len, data)), flags) + b"".join(data)


def _take(cells: Iterable[Cell]) -> tuple[list[Cell], Iterable[Cell] | None]:
    """The first cells and, if all of them together are too many for an inline bucket, the others."""
    iterator = iter(cells)
    first: list[Cell] = []
    size = 0
    for cell in iterator:
        first.append(cell)
        size += ELEMENT + len(cell[1])
        if size > _INLINE:
            return first, iterator
    return first, None


def _key(cell: Cell) -> bytes:
    return cell[1][: cell[0]]


def _branch(children: list[Child]) -> Leaf:
    position = BRANCH_ELEMENT.size * len(children)
    elements = []
    for key, child in children:
        elements.append(BRANCH_ELEMENT.pack(position, len(key), child))
        position += len(key) - BRANCH_ELEMENT.size
    return children[0][0], len(children), b"".join(elements + [key for key, _ in children])


def _groups(children: list[Child]) -> Iterable[list[Child]]:
    """Children of one branch page each: as many as fit beside the longest key, spread evenly."""
    longest = max(len(key) for key, _ in children)
    fit = max(2, ROOM // (BRANCH_ELEMENT.size + longest))
    count = -(-len(children) // fit)
    for i in range(count):
        yield children[i * len(children) // count : (i + 1) * len(children) // count]
