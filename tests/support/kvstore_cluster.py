"""Clusters of real processes that take etcd's flags: ours, or etcd itself.

    with Cluster(KVSTORE, tmp_path) as cluster:    # or Cluster((require_tool("etcd"),), tmp_path)
        cluster.endpoints                          # ["127.0.0.1:41234", ...], all of them answering

Ports are free ones, chosen before the start because every member must be told those of all others.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

KVSTORE = (sys.executable, "-m", "kvstore")
_random = random.SystemRandom()
_given: deque[int] = deque(maxlen=1000)
READY_SECONDS = 30.0
STOP_SECONDS = 10.0


class Cluster:
    """`command` is the program; `flags` go to every member. Logs and data are in `directory`."""

    def __init__(
        self, command: Sequence[str], directory: Path, *, size: int = 3, flags: Sequence[str] = ()
    ) -> None:
        self.command, self.directory, self.flags = tuple(command), directory, tuple(flags)
        ports = free_ports(2 * size)
        self.names = [f"m{number}" for number in range(size)]
        self.endpoints = [f"127.0.0.1:{port}" for port in ports[:size]]
        self.peers = [f"http://127.0.0.1:{port}" for port in ports[size:]]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * size

    def __enter__(self) -> Self:
        try:
            for number in range(len(self.names)):
                self.start(number)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, number: int) -> None:
        """One member, new or again."""
        name, client, peer = self.names[number], f"http://{self.endpoints[number]}", self.peers[number]
        initial = ",".join(f"{name}={url}" for name, url in zip(self.names, self.peers, strict=True))
        command = [
            *self.command,
            f"--name={name}",
            f"--data-dir={self.directory / name}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={initial}",
            *self.flags,
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Until every member that was started answers as healthy."""
        end = time.monotonic() + timeout
        for number, process in enumerate(self.processes):
            while process is not None and not _healthy(self.endpoints[number]):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{self.names[number]} is not healthy:\n{self.log(number)}")
                time.sleep(0.05)

    def kill(self, number: int) -> None:
        """Without warning."""
        self._end(number, signal.SIGKILL)

    def stop(self) -> None:
        """All together, for the last ones would wait for a quorum that is gone. Etcd takes seconds to end, and
        is not what is tested: it is killed."""
        how = signal.SIGTERM if self.command == KVSTORE else signal.SIGKILL
        for process in self.processes:
            if process is not None:
                process.send_signal(how)
        for number in range(len(self.processes)):
            self._end(number, how)

    def log(self, number: int) -> str:
        """The end of what a member said."""
        path = self.directory / f"{self.names[number]}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-30:]) if path.exists() else ""

    def _end(self, number: int, how: signal.Signals) -> None:
        process, self.processes[number] = self.processes[number], None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Free a moment ago, below those that the system gives to outgoing connections, and not given to anybody lately:
    who has got one may not have taken it yet.
    """
    found: list[int] = []
    while len(found) < count:
        port = _random.randrange(10_000, 32_000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
                _given.append(port)
    return found


def _healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{endpoint}/health", timeout=2.0) as answer:
            return b'"true"' in answer.read()
    except (OSError, ValueError):
        return False
