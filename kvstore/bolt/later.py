"""A second process that reads the later part of a snapshot's records, for `kvstore.bolt.load`.

Forked before a database is opened, for LMDB's handles do not survive a fork. It makes records of its leaf pages as
`load.Records` does, into an unnamed file that both have open, and says through a pipe how long each piece is. The
record before the first one of a key here is not known to it: the reader links these.

    pieces: "r" [[revision, record], ...]   any number of them
            "e" Summary                     the end
            "x" text                        the snapshot is not what it should be
"""

from __future__ import annotations

import os
import struct
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from kvstore.errors import SnapshotCorrupt

Items = Iterable[tuple[bytes, bytes]]

_PIECE = 2000
"""Records."""
_LENGTH = struct.Struct("<Q")
_RECORDS, _END, _CORRUPT = b"r", b"e", b"x"


class Summary(msgspec.Struct, array_like=True):
    """After the last record: how many keys are alive and what leases they have, and the name of the first record in
    the file."""

    revision: int
    live: int
    leases: list[tuple[bytes, int]]
    first: bytes


Work = Callable[[], tuple[Items, Callable[[], Summary]]]
"""The records, and what is to be said after them. Raises `SnapshotCorrupt`."""


class Later:
    """A context manager; the process is gone in the end. Iterate it for the records, then `summary` is there."""

    def __init__(self, beside: Path, work: Work) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=beside, buffering=0)  # noqa: SIM115
        self._lengths, lengths = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._lengths)
            _work(self._file, lengths, work)
        os.close(lengths)
        self.summary: Summary | None = None

    def __enter__(self) -> Later:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lengths)  # a process that still works ends at its next piece
        os.waitpid(self._process, 0)
        self._file.close()

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]]).decode
        at = 0
        while True:
            length = self._length()
            kind, piece = (
                os.pread(self._file.fileno(), 1, at),
                os.pread(self._file.fileno(), length - 1, at + 1),
            )
            at += length
            if kind == _END:
                self.summary = msgspec.msgpack.decode(piece, type=Summary)
                return
            if kind == _CORRUPT:
                raise SnapshotCorrupt(piece.decode())
            yield from decode(piece)

    def _length(self) -> int:
        data = os.read(self._lengths, _LENGTH.size)
        if len(data) < _LENGTH.size:
            raise EOFError("the second process ended early")
        return int(_LENGTH.unpack(data)[0])


def _work(file: IO[bytes], lengths: int, work: Work) -> None:
    """The process's whole life."""
    try:
        try:
            _serve(file, lengths, work)
        except SnapshotCorrupt as error:
            _say(file, lengths, _CORRUPT + str(error).encode())
    except BrokenPipeError:
        os._exit(0)  # nobody wants it any more
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _serve(file: IO[bytes], lengths: int, work: Work) -> None:
    records, summary = work()
    encode = msgspec.msgpack.Encoder().encode
    iterator = iter(records)
    while piece := list(islice(iterator, _PIECE)):
        _say(file, lengths, _RECORDS + encode(piece))
    _say(file, lengths, _END + encode(summary()))


def _say(file: IO[bytes], lengths: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file.fileno(), view) :]
    os.write(lengths, _LENGTH.pack(len(piece)))
