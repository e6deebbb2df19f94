"""A command run inside a container to its end, its output collected: probes, hooks and `/run`.

Used by `server` for the operation `exec`; the answer goes out when the command has ended and its output is
complete, or when its time is over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from components.kubelet.runtime.process.shim import spawn
from components.kubelet.runtime.process.shim.containers import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from components.kubelet.runtime.process.shim.watcher import Watcher

_OUTPUT_LIMIT = 1 << 20


class Command:
    """`answer(result)` is called once, when there is nothing left to wait for."""

    def __init__(
        self, watcher: Watcher, child: spawn.Child, limit: float, answer: Callable[[dict[str, object]], None]
    ) -> None:
        self._watcher, self.pid, self._answer = watcher, child.pid, answer
        self.deadline = time.monotonic() + limit
        self._open = dict(child.outputs)
        self._output = {name: bytearray() for name in child.outputs}
        self._code: int | None = None
        self.timed_out = False
        for name, fd in child.outputs.items():
            watcher.readable(fd, lambda name=name: self._ready(name))  # type: ignore[misc]

    def _ready(self, name: str) -> None:
        data = read(self._open[name])
        if data is None:
            return
        if data:
            if len(self._output[name]) < _OUTPUT_LIMIT:
                self._output[name] += data
            return
        self._watcher.close(self._open.pop(name))
        self._finish()

    def exited(self, code: int) -> None:
        self._code = code
        self._finish()

    def check_time(self, now: float) -> None:
        if now >= self.deadline and not self.timed_out:
            self.timed_out = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _finish(self) -> None:
        if self._code is None or (self._open and not self.timed_out):
            return
        for fd in self._open.values():
            self._watcher.close(fd)
        self._open.clear()
        texts = {name: bytes(data).decode("utf-8", "surrogateescape") for name, data in self._output.items()}
        self._answer({"code": self._code, **texts, "timed_out": self.timed_out})
        self._answer = lambda _result: None
