"""The process that starts all others by forking itself (`python -m components.cluster.zygote`).

Six interpreters that each import the same modules cost seconds on two cores. This process imports them once,
without ever starting a thread or an event loop, and forks a copy for each process it is asked for; a copy
is a process like any other: own pid, title, log, signals, memory (shared until written).

It speaks JSON lines over the socket that is its standard input (`launcher` is the other end):
    -> {"spawn": "m1", "module": "components.master", "args": ["--config", "..."], "log": "..."}
       with "program": "/another/python", that interpreter's module is executed instead
    <- {"spawned": "m1", "pid": 123} or {"failed": "m1", "error": "..."}
    <- {"exited": 123, "status": -9}          (negative: killed by that signal)
    -> {"preload": ["components.master", ...]}
When the socket closes it ends, and what it started with it (`titles.die_with_parent`).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any, NoReturn

from components.cluster import titles

TITLE_ROOM = 600  # bytes of argument that `launcher` passes so that a child's command line fits


def main() -> None:
    """Serve requests until the socket closes."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its thread pool would not survive a fork
    titles.set_title("kuberaft-starter", ["kuberaft: process starter"])
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Zygote(channel).serve()


class Zygote:
    """One channel, any number of children."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Answer requests and report exits until the other end closes."""
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, _noted)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor to handle
        buffer = b""
        while True:
            readable, _, _ = select.select([self._channel.fileno(), self._wake_read], [], [])
            if self._wake_read in readable:
                os.read(self._wake_read, 4096)
                self._report_exits()
            if self._channel.fileno() in readable:
                data = self._channel.recv(65536)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._handle(json.loads(line))

    def _handle(self, request: dict[str, Any]) -> None:
        for name in request.get("preload", ()):
            importlib.import_module(name)
        if "spawn" not in request:
            return
        try:
            module = None if "program" in request else importlib.import_module(request["module"])
            pid = self._fork(request, module)
        except Exception as error:
            self._say({"failed": request["spawn"], "error": f"{type(error).__name__}: {error}"})
        else:
            self._say({"spawned": request["spawn"], "pid": pid})

    def _fork(self, request: dict[str, Any], module: ModuleType | None) -> int:
        gc.collect()
        gc.freeze()  # what is shared stays shared: the collector of a child does not touch it
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(request, module, parent)
        return pid

    def _become(self, request: dict[str, Any], module: ModuleType | None, parent: int) -> NoReturn:
        """Turn the fresh copy into the process asked for; never returns to the server's loop."""
        status = 1
        try:
            titles.die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self._channel.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            os.setpgid(0, 0)
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            argv = [request["module"], *request["args"]]
            if module is None:
                _execute(request["program"], argv)
            titles.set_title(f"kuberaft-{request['spawn']}", [sys.executable, "-m", *argv])
            sys.argv = argv
            status = module.main(request["args"]) or 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _report_exits(self) -> None:
        for pid, status in _ended():
            self._say({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")


def _execute(program: str, argv: list[str]) -> NoReturn:
    """Another interpreter brings its own packages: neither our working directory nor our PYTHONPATH may hide them."""
    flags, environment = ["-m"], dict(os.environ)
    if program != sys.executable:
        flags = ["-P", "-m"]
        environment.pop("PYTHONPATH", None)
    os.execve(program, [program, *flags, *argv], environment)


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _noted(number: int, frame: FrameType | None) -> None:
    """SIGCHLD needs a handler for the wake-up descriptor to be written; the loop does the work."""


if __name__ == "__main__":
    main()
