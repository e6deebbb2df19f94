"""One container as the shim runs it: its process, its output on the way to the log, who is attached.

Fed by `server` (start, exit) and by the container's own output. An attached client gets a copy of every piece;
one that does not read stops the container's output until it does or leaves, so that nothing piles up here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from components.kubelet.runtime.process.shim import proctree
from components.kubelet.runtime.process.shim.logfile import LogFile, StreamWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from components.kubelet.runtime.process.shim import spawn
    from components.kubelet.runtime.process.shim.watcher import Watcher

READ = 64 * 1024


class Output:
    """One stream of a container: `fd` to the log and to the attached `sinks`.

    Invariant: `fd` is watched exactly while no sink holds unwritten bytes.
    """

    def __init__(self, watcher: Watcher, fd: int, writer: StreamWriter, ended: Callable[[], None]) -> None:
        self._watcher, self.fd, self._writer, self._ended = watcher, fd, writer, ended
        self._sinks: dict[int, bytes] = {}  # what each attached descriptor has not taken yet
        watcher.readable(fd, self._ready)

    def attach(self, sink: int) -> None:
        os.set_blocking(sink, False)
        self._sinks[sink] = b""

    def detach(self, sink: int) -> None:
        if self._sinks.pop(sink, None) is not None:
            self._watcher.close(sink)
            self._resume()

    def close(self) -> None:
        """What was written so far goes to the log; the sinks end with their stream."""
        while data := read(self.fd):
            self._writer.feed(data, time.time_ns())
        for sink in list(self._sinks):
            self._watcher.close(sink)
        self._sinks.clear()
        self._watcher.close(self.fd)
        self._writer.finish(time.time_ns())

    def _ready(self) -> None:
        data = read(self.fd)
        if data is None:
            return
        if not data:
            self._ended()
            return
        self._writer.feed(data, time.time_ns())
        for sink in list(self._sinks):
            self._sinks[sink] += data
            self._flush(sink)

    def _flush(self, sink: int) -> None:
        pending = self._sinks[sink]
        try:
            self._sinks[sink] = pending[os.write(sink, pending) :]
        except BlockingIOError:
            pass
        except OSError:  # its reader is gone
            self.detach(sink)
            return
        if self._sinks[sink]:
            self._watcher.forget(self.fd)
            self._watcher.writable(sink, lambda: self._flush(sink))
        else:
            self._watcher.forget(sink)
            self._resume()

    def _resume(self) -> None:
        if not any(self._sinks.values()):
            self._watcher.readable(self.fd, self._ready)


class Container:
    """`ended(container)` is called when the last of its output is complete."""

    def __init__(
        self,
        spec: spawn.Spec,
        child: spawn.Child,
        log: LogFile,
        watcher: Watcher,
        ended: Callable[[Container], None],
    ) -> None:
        self.spec, self.pid, self._log = spec, child.pid, log
        self.stdin, self.terminal = child.stdin, child.terminal
        self._all_ended = ended
        self.outputs: dict[str, Output] = {}
        for name, fd in child.outputs.items():
            writer = StreamWriter(name, log)
            self.outputs[name] = Output(watcher, fd, writer, lambda name=name: self.end_output(name))  # type: ignore[misc]
        self.oom_killed = False
        self.exited_at = 0.0  # monotonic; 0 while it runs
        self.status: dict[str, object] = {
            "id": spec["id"],
            "state": "RUNNING",
            "pid": child.pid,
            "start_ticks": proctree.start_time(child.pid),
            "started_at": time.time(),
            "finished_at": 0.0,
            "exit_code": 0,
            "reason": "",
        }

    def exited(self, code: int) -> None:
        self.exited_at = time.monotonic()
        self.close_stdin()
        reason = "OOMKilled" if self.oom_killed else ("Error" if code else "Completed")
        self.status.update(finished_at=time.time(), exit_code=code, reason=reason)

    def end_output(self, name: str) -> None:
        self.outputs.pop(name).close()
        self.terminal = None
        self._all_ended(self)

    def input(self) -> int | None:
        """Where attached clients write: the terminal, or the pipe to its standard input."""
        return self.terminal if self.terminal is not None else self.stdin

    def close_stdin(self) -> None:
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def is_complete(self) -> bool:
        """Exited, all output in the log, and not yet told."""
        return bool(self.exited_at) and not self.outputs and self.status["state"] == "RUNNING"

    def complete(self) -> None:
        self.status["state"] = "EXITED"
        self._log.close()

    def kill(self) -> None:
        if "pid" in self.spec["namespaces"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)  # the kernel ends the whole namespace with it
            return
        for _ in range(5):  # a process may fork while it is being killed
            members = [*proctree.tree(self.pid), *proctree.session_members(self.pid)]
            proctree.kill_all(members)
            if len(members) <= 1:
                return

    def check_memory(self) -> None:
        used = sum(proctree.anonymous_bytes(pid) for pid in proctree.tree(self.pid))
        if used > self.spec["memory_limit"]:
            self.oom_killed = True
            self.kill()


def read(fd: int) -> bytes | None:
    """What is there now: None if nothing yet, b"" at the end. A terminal ends with EIO when nobody has it open."""
    try:
        return os.read(fd, READ)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
