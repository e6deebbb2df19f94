"""Reads a bbolt file that may be truncated, altered or hostile: every answer is right or `SnapshotCorrupt`.

Nothing in the file is trusted: meta pages have to match their checksum, page numbers to lie in the file, no
page may be reached twice, elements have to lie in their page and keys to ascend. So every walk ends, after
at most as many pages as the file has. Used by `kvstore.bolt.load` and `kvstore.commands`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from kvstore.backend import translated
from kvstore.bolt.format import (
    BRANCH,
    BRANCH_ELEMENT,
    BUCKET,
    BUCKET_HEADER,
    LEAF,
    LEAF_ELEMENT,
    PAGE_HEADER,
    PAGE_SIZE,
    Meta,
    unpack_meta,
)
from kvstore.errors import SnapshotCorrupt

_PAGE_SIZES = tuple(512 << n for n in range(8))
"""The second meta page tells the page size where the first is damaged."""
_TAIL = hashlib.sha256().digest_size
_READ = 1 << 20

Element = tuple[int, bytes, bytes]
"""Flags, key, value."""


class BoltFile:
    """An open file; a context manager. `meta` is the valid meta page's content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(path):
            self._file: IO[bytes] = open(path, "rb", buffering=0)  # noqa: SIM115
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.has_checksum = self.size % 512 == _TAIL
            self.meta = self._read_meta()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> BoltFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def checksum(self, *, compare: bool = True) -> str:
        """SHA-256 of the database in hex, compared with the one at the end of the file if that has one."""
        digest = hashlib.sha256()
        end = self.size - _TAIL if self.has_checksum else self.size
        with translated(self.path):
            for at in range(0, end, _READ):
                digest.update(self._bytes(at, min(_READ, end - at)))
            if compare and self.has_checksum and self._bytes(end, _TAIL) != digest.digest():
                self.refuse("its checksum does not match its content")
        return digest.hexdigest()

    def buckets(self) -> dict[bytes, Bucket]:
        """The buckets at the top, by name in ascending order."""
        seen = bytearray(self.meta.pages)
        found = {}
        for flags, name, value in self._walk(self.meta.root, seen):
            if not flags & BUCKET or len(value) < BUCKET_HEADER.size:
                self.refuse(f"{name!r} is no bucket")
            found[name] = Bucket(self, name, value, seen)
        return found

    def items(self, bucket: Bucket) -> Iterator[tuple[bytes, bytes]]:
        for flags, key, value in self._elements(bucket):
            if flags & BUCKET:
                self.refuse(f"there is a bucket inside of {bucket.name!r}")
            yield key, value

    def leaf_pages(self, bucket: Bucket) -> list[int]:
        """The numbers of the bucket's leaf pages in the order of their keys; none of a bucket without pages."""
        root = BUCKET_HEADER.unpack_from(bucket.value)[0]
        found: list[int] = []
        todo = [root] if root else []
        while todo:
            number = todo.pop()
            if self._is_leaf(number):
                found.append(number)
                continue
            page, flags, count = self._page(number, bucket.seen)
            if not flags & BRANCH:
                self.refuse("a page is neither branch nor leaf")
            todo += reversed(self._children(page, count))
        return found

    def items_of(self, bucket: Bucket, pages: Iterable[int]) -> Iterator[tuple[bytes, bytes]]:
        """The items of some of the bucket's leaf pages, each of which can be read once."""
        last: bytes | None = None
        for number in pages:
            page, flags, count = self._page(number, bucket.seen)
            if not flags & LEAF:
                self.refuse(f"page {number} is no leaf")
            for flags, key, value in self._leaf(page, count, last):
                if flags & BUCKET:
                    self.refuse(f"there is a bucket inside of {bucket.name!r}")
                last = key
                yield key, value

    def refuse(self, reason: str) -> NoReturn:
        raise SnapshotCorrupt(f"{self.path}: truncated or altered ({reason}); use another snapshot")

    def _elements(self, bucket: Bucket) -> Iterator[Element]:
        root = BUCKET_HEADER.unpack_from(bucket.value)[0]
        if root:
            return self._walk(root, bucket.seen)
        page = bucket.value[BUCKET_HEADER.size :]
        if len(page) < PAGE_HEADER.size:
            self.refuse(f"bucket {bucket.name!r} is cut short")
        _, flags, count, _ = PAGE_HEADER.unpack_from(page)
        if not flags & LEAF:
            self.refuse(f"bucket {bucket.name!r} is not a leaf")
        return self._leaf(page, count, None)

    def _walk(self, root: int, seen: bytearray) -> Iterator[Element]:
        """All elements of the leaves below a page."""
        todo = [root]
        last: bytes | None = None
        while todo:
            page, flags, count = self._page(todo.pop(), seen)
            if flags & BRANCH:
                todo += reversed(self._children(page, count))
            elif flags & LEAF:
                for element in self._leaf(page, count, last):
                    last = element[1]
                    yield element
            else:
                self.refuse("a page is neither branch nor leaf")

    def _page(self, number: int, seen: bytearray) -> tuple[bytes, int, int]:
        """A page with its overflow, flags and count."""
        size = self.meta.page_size
        if not 2 <= number < self.meta.pages:
            self.refuse(f"there is no page {number}")
        page = self._bytes(number * size, size)
        stated, flags, count, overflow = PAGE_HEADER.unpack_from(page)
        if stated != number:
            self.refuse(f"page {number} says it is page {stated}")
        if overflow >= self.meta.pages - number:
            self.refuse(f"page {number} ends behind the end of the file")
        if any(seen[number : number + overflow + 1]):
            self.refuse(f"page {number} is used twice")
        seen[number : number + overflow + 1] = b"\1" * (overflow + 1)
        if overflow:
            page += self._bytes((number + 1) * size, overflow * size)
        return page, flags, count

    def _is_leaf(self, number: int) -> bool:
        if not 2 <= number < self.meta.pages:
            self.refuse(f"there is no page {number}")
        head = self._bytes(number * self.meta.page_size, PAGE_HEADER.size)
        return bool(PAGE_HEADER.unpack(head)[1] & LEAF)

    def _children(self, page: bytes, count: int) -> list[int]:
        elements = self._table(page, count, BRANCH_ELEMENT.size)
        return [child for _, _, child in BRANCH_ELEMENT.iter_unpack(elements)]

    def _leaf(self, page: bytes, count: int, last: bytes | None) -> Iterator[Element]:
        """Elements whose keys ascend from `last` on."""
        element = PAGE_HEADER.size
        limit = len(page)
        for flags, position, key_size, value_size in LEAF_ELEMENT.iter_unpack(
            self._table(page, count, LEAF_ELEMENT.size)
        ):
            start = element + position
            middle = start + key_size
            end = middle + value_size
            element += LEAF_ELEMENT.size
            if end > limit:
                self.refuse("an element lies outside of its page")
            key = page[start:middle]
            if last is not None and key <= last:
                self.refuse("keys are not in order")
            last = key
            yield flags, key, page[middle:end]

    def _table(self, page: bytes, count: int, size: int) -> bytes:
        end = PAGE_HEADER.size + count * size
        if end > len(page):
            self.refuse("a page is too short for its elements")
        return page[PAGE_HEADER.size : end]

    def _read_meta(self) -> Meta:
        found = [unpack_meta(self._head(0))]
        size = found[0].page_size if found[0] else 0
        found += [unpack_meta(self._head(at)) for at in ((size,) if size else _PAGE_SIZES)]
        valid = [meta for meta in found if meta and meta.page_size in _PAGE_SIZES]
        if not valid:
            self.refuse("it does not begin as a database of etcd")
        meta = max(valid, key=lambda meta: meta.transaction)
        if meta.pages * meta.page_size > self.size or meta.pages < 3:
            self.refuse(f"{self.size} bytes where {meta.pages} pages of {meta.page_size} are expected")
        return meta

    def _head(self, at: int) -> bytes:
        with translated(self.path):
            return os.pread(self._file.fileno(), PAGE_SIZE, at)

    def _bytes(self, at: int, size: int) -> bytes:
        data = os.pread(self._file.fileno(), size, at)
        if len(data) < size:
            self.refuse("it ends in the middle of a page")
        return data


class Bucket:
    """One bucket of a file: its name and what stands for it. Read it once, in one go."""

    def __init__(self, file: BoltFile, name: bytes, value: bytes, seen: bytearray) -> None:
        self.file, self.name, self.value, self.seen = file, name, value, seen

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self.file.items(self)
