"""The write-ahead log: append-only segment files, one sync for each batch.

`kvstore.raft.journal` hands over batches of records and reads them back at start; `syncing` calls `commit`,
mostly in a thread, while the engine touches nothing else of the log. Segments are named `<sequence>.wal`. Each
begins with a frame that names cluster and member and repeats the hard state (term and vote), so that older segments
can be removed whole once the applied state no longer needs their entries.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import cbor2

from kvstore.raft.errors import WalCorrupt, WalError
from kvstore.raft.files import Files
from kvstore.raft.records import ENTRY, ENTRY_RECORD, HEADER, frame, record, records, scan

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
FORMAT = 1
SUFFIX = ".wal"


@dataclass
class Segment:
    """`last_index`: highest index of any entry in it, 0 if it has none."""

    sequence: int
    last_index: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        return f"{self.sequence:016x}{SUFFIX}"


@dataclass(frozen=True)
class Batch:
    """Records to be synced together; `state` are the records a new segment must begin with."""

    body: bytes
    last_index: int
    state: bytes


class Wal:
    def __init__(
        self, files: Files, *, cluster_id: int, member_id: int, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._files = files
        self._identity = [FORMAT, cluster_id, member_id]
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._failed = False

    @property
    def segments(self) -> list[Segment]:
        return self._segments

    def open(self) -> list[tuple[int, bytes]]:
        """All records in order, [] for a new log. Cuts a torn tail; other damage raises `WalCorrupt`."""
        found: list[tuple[int, bytes]] = []
        names = [name for name in self._files.names() if name.endswith(SUFFIX)]
        for name in names:
            found += self._read_segment(name, last=name == names[-1])
        return found

    def create(self, state: bytes) -> None:
        """The first segment of a new log."""
        self._guarded(self._start_segment, 1, state)

    def commit(self, batch: Batch) -> None:
        """Write and sync. Raises `WalError`, after which every further call raises it too."""
        self._guarded(self._commit, batch)

    def trim(self, keep_from: int) -> None:
        """Remove the oldest segments that hold only entries below index `keep_from`."""
        while len(self._segments) > 1 and self._segments[0].last_index < keep_from:
            self._guarded(self._files.remove, self._segments[0].name)
            del self._segments[0]

    def close(self) -> None:
        self._files.close()

    def _guarded(self, step: Callable[..., None], *args: object) -> None:
        name = self._segments[-1].name if self._segments else ""
        if self._failed:
            raise WalError(self._files.path(name), OSError(0, "an earlier write failed"))
        try:
            step(*args)
        except OSError as error:
            self._failed = True
            raise WalError(self._files.path(name), error) from error

    def _commit(self, batch: Batch) -> None:
        if self._segments[-1].size >= self._segment_bytes:
            self._start_segment(self._segments[-1].sequence + 1, batch.state)
        segment = self._segments[-1]
        data = frame(batch.body)
        try:
            self._files.append(segment.name, data)
            self._files.sync(segment.name)
        except OSError:
            # Best effort: what is left is a torn tail, which the next start cuts off anyway.
            with contextlib.suppress(OSError):
                self._files.truncate(segment.name, segment.size)
            raise
        segment.size += len(data)
        segment.last_index = max(segment.last_index, batch.last_index)

    def _start_segment(self, sequence: int, state: bytes) -> None:
        segment = Segment(sequence)
        data = frame(record(HEADER, cbor2.dumps([*self._identity, sequence])) + state)
        self._files.create(segment.name, data)
        segment.size = len(data)
        self._segments.append(segment)

    def _read_segment(self, name: str, last: bool) -> list[tuple[int, bytes]]:
        data, path = self._files.read(name), self._files.path(name)
        bodies, size, damage = scan(data)
        if damage is not None:
            # A segment is created whole, so even the last one's first frame cannot be torn.
            if not (last and damage.torn and bodies):
                raise WalCorrupt(path, damage.offset, damage.what)
            log.warning("%s: cut %d bytes of %s at offset %d", path, len(data) - size, damage.what, size)
            self._files.truncate(name, size)
        segment = Segment(self._check_header(bodies, path), size=size)
        found = self._decode(bodies, path)
        entries = (ENTRY.unpack_from(payload)[0] for kind, payload in found if kind == ENTRY_RECORD)
        segment.last_index = max(entries, default=0)
        if self._segments and segment.sequence != self._segments[-1].sequence + 1:
            raise WalCorrupt(path, 0, f"segment {self._segments[-1].sequence + 1} is missing before it")
        self._segments.append(segment)
        return found

    def _decode(self, bodies: list[bytes], path: str) -> list[tuple[int, bytes]]:
        try:
            return [item for body in bodies for item in records(body) if item[0] != HEADER]
        except ValueError as error:
            raise WalCorrupt(path, 0, str(error)) from error

    def _check_header(self, bodies: list[bytes], path: str) -> int:
        try:
            kind, payload = next(records(bodies[0]))
            header: list[int] = cbor2.loads(payload) if kind == HEADER else []
            identity, sequence = header[:3], int(header[3])
        except (ValueError, TypeError, IndexError, StopIteration, cbor2.CBORError) as error:
            raise WalCorrupt(path, 0, "no segment header") from error
        if identity != self._identity:
            raise WalCorrupt(
                path, 0, f"a header of format, cluster, member {identity} instead of {self._identity}"
            )
        return sequence
