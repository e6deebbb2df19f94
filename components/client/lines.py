"""Splitting a byte stream into lines of any length (P); feeds the watch stream's decoder."""

from __future__ import annotations


class LineSplitter:
    """Chunks in, complete lines out. Work is linear in the bytes, however long one line is."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The non-empty lines completed by `chunk`, without their newline."""
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._pending.append(tail)
            return []
        complete = b"".join((*self._pending, head))
        self._pending = [tail] if tail else []
        return [line for line in complete.split(b"\n") if line]
