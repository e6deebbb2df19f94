"""A container's output in the CRI log format: `<RFC 3339 nanoseconds> <stdout|stderr> <F|P> <text>`.

Written by the shim, read by `components.kubelet.logs`. A line longer than the read buffer is split into
`P` (partial) records closed by an `F`. When the file reaches `max_bytes` it is renamed with its time and
a new one started; `max_files` of them are kept, the current one included.
"""

from __future__ import annotations

import os
import time

MAX_RECORD = 16 * 1024


def timestamp(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


class LogFile:
    def __init__(self, path: str, max_bytes: int = 10 << 20, max_files: int = 5) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def write(self, records: bytes) -> None:
        """Append whole records. A full disk loses output, never the container."""
        try:
            os.write(self._fd, records)
        except OSError:
            return
        self._size += len(records)
        if self._size >= self._max_bytes:
            self._rotate()

    def close(self) -> None:
        os.close(self._fd)

    def _rotate(self) -> None:
        os.close(self._fd)
        os.rename(self._path, f"{self._path}.{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}")
        self._open()
        directory, base = os.path.split(self._path)
        rotated = sorted(name for name in os.listdir(directory) if name.startswith(base + "."))
        for name in rotated[: max(len(rotated) - (self._max_files - 1), 0)]:
            os.unlink(os.path.join(directory, name))


class StreamWriter:
    """Cuts one stream (stdout or stderr) into records and writes them to the shared `log`."""

    def __init__(self, stream: str, log: LogFile) -> None:
        self._stream = stream.encode()
        self._log = log
        self._rest = b""

    def feed(self, data: bytes, now_ns: int) -> None:
        stamp = timestamp(now_ns).encode() + b" " + self._stream
        *lines, rest = (self._rest + data).split(b"\n")
        out = [self._record(stamp, line) for line in lines]
        while len(rest) >= MAX_RECORD:
            out.append(b"%s P %s\n" % (stamp, rest[:MAX_RECORD]))
            rest = rest[MAX_RECORD:]
        self._rest = rest
        if out:
            self._log.write(b"".join(out))

    def finish(self, now_ns: int) -> None:
        """The stream has ended: what is left without a newline is a record of its own."""
        if self._rest:
            self._log.write(b"%s %s P %s\n" % (timestamp(now_ns).encode(), self._stream, self._rest))
            self._rest = b""

    @staticmethod
    def _record(stamp: bytes, line: bytes) -> bytes:
        out = b""
        while len(line) > MAX_RECORD:
            out += b"%s P %s\n" % (stamp, line[:MAX_RECORD])
            line = line[MAX_RECORD:]
        return out + b"%s F %s\n" % (stamp, line)
