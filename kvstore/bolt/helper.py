"""A second process that makes the pages of the later half of the records, for `kvstore.bolt.worker`.

Forked before the database is opened, for LMDB's handles do not survive a fork. Both processes must see the
same commit, so they open transactions until these have the same id; a commit happens a few times a second,
opening takes microseconds. Then the worker says from which revision on the records are the helper's.

    worker                                   helper
    "b": begin a transaction            ->
                                        <-   its id, 8 bytes
    "b" again, if it is another one     ->
    "g" and a revision, 12 bytes        ->   writes leaf pages into the same file (`writer.Allocation`)
                                        <-   first key and number of each, and the end
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2

from kvstore.bolt.export import Share
from kvstore.bolt.records import leaves
from kvstore.bolt.worker import LmdbSource, opened
from kvstore.bolt.writer import Child, PageWriter
from kvstore.mvcc import record

_ATTEMPTS = 1000
_ID = struct.Struct(">Q")
_BEGIN, _GO = b"b", b"g"


class Helper:
    """A context manager; the process is gone in the end. `out` is the file's descriptor, inherited."""

    def __init__(self, directory: Path, out: int) -> None:
        from_worker, self._to_helper = os.pipe()
        self._from_helper, to_worker = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._to_helper)
            os.close(self._from_helper)
            _help(directory, out, from_worker, to_worker)
        os.close(from_worker)
        os.close(to_worker)

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to_helper)  # a helper that still waits for words ends
        os.close(self._from_helper)
        os.waitpid(self._process, 0)

    @contextlib.contextmanager
    def agreed(self, environment: Any) -> Iterator[tuple[LmdbSource, Share | None]]:
        """A view that the helper has, too, and what it does; None for a database without records."""
        for _ in range(_ATTEMPTS):
            with LmdbSource(environment) as source:
                os.write(self._to_helper, _BEGIN)
                if _ID.unpack(_read(self._from_helper, _ID.size))[0] == source.id:
                    yield source, self._share(source)
                    return
        raise TimeoutError("the database is written too fast to read it with two processes")

    def _share(self, source: LmdbSource) -> Share | None:
        bounds = source.bounds("history")
        if bounds is None:
            return None
        middle = sum(map(record.main_of, bounds)) // 2 + 1
        start = record.pack_revision(middle, 0)
        return Share(start, functools.partial(self._begin, start))

    def _begin(self, start: bytes) -> Callable[[], list[Child]]:
        os.write(self._to_helper, _GO + start)
        return self._pages

    def _pages(self) -> list[Child]:
        with open(self._from_helper, "rb", closefd=False) as answers:
            data = answers.read()
        if not data:
            raise EOFError("the second process ended early")
        return [(key, number) for key, number in cbor2.loads(data)]


def _help(directory: Path, out: int, words: int, answers: int) -> None:
    """The helper's whole life."""
    try:
        with opened(directory) as environment:
            _serve(environment, out, words, answers)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _serve(environment: Any, out: int, words: int, answers: int) -> None:
    word = os.read(words, 1)
    while word == _BEGIN:
        with LmdbSource(environment) as source:
            os.write(answers, _ID.pack(source.id))
            word = os.read(words, 1)
            if word == _GO:
                start = _read(words, len(record.NONE))
                records = source.table("history", start)
                pages = PageWriter(out).leaves(leaves(records, source.state.revision))
                with open(answers, "wb", closefd=False) as file:
                    file.write(cbor2.dumps(pages))


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            raise EOFError("the other process ended early")
        data += more
    return data
