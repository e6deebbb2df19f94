"""One `kuberaft up` as a child of the test run: started, told to end, and ended with whoever started it.

The supervisor holds the reading end of a pipe whose other end is ours alone. When we end, however that is, the kernel
closes it, and the supervisor ends the cluster in order, pods included. Nothing needs to survive us to clean up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from components.cluster.errors import ClusterError
from components.cluster.logtail import last_lines
from components.cluster.run import READY

START_SECONDS = 90.0
STOP_SECONDS = 30.0
_TAIL = 15


class Process:
    """`start` returns when all nodes are Ready."""

    def __init__(self, popen: subprocess.Popen[bytes], lifeline: int) -> None:
        self._popen = popen
        self._lifeline = lifeline

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @classmethod
    def start(cls, directory: Path, topology: Path, log: Path) -> Process:
        """Raises ClusterError with the cluster's own error and the end of its log."""
        told, notify = os.pipe()
        held, lifeline = os.pipe()
        command = [sys.executable, "-m", "components.cluster", "up"]
        command += ["--dir", str(directory), "--config", str(topology)]
        command += ["--notify-fd", str(notify), "--lifeline-fd", str(held)]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                pass_fds=(notify, held),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        os.close(notify)
        os.close(held)
        process = cls(popen, lifeline)
        try:
            process._wait_ready(told, directory, log)
        except BaseException:
            process.stop()
            raise
        finally:
            os.close(told)
        return process

    def stop(self) -> None:
        """In order; by force if that takes too long."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._popen.pid, signal.SIGKILL)
            self._popen.wait(STOP_SECONDS)

    def _wait_ready(self, told: int, directory: Path, log: Path) -> None:
        deadline, text = time.monotonic() + START_SECONDS, ""
        while f"\n{READY}\n" not in f"\n{text}":
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([told], [], [], left)[0]:
                raise _failure(f"not ready within {START_SECONDS:.0f} s\n{text}", directory, log)
            data = os.read(told, 65536)
            if not data:
                raise _failure(_error_in(text), directory, log)
            text += data.decode(errors="replace")


def _error_in(text: str) -> str:
    """The cluster's own words, else what it said last."""
    _, found, error = text.partition("error: ")
    return error.strip() if found else text.strip() or "it ended without a word"


def _failure(text: str, directory: Path, log: Path) -> ClusterError:
    tails = [
        f"the end of {path}:\n" + "\n".join(f"    {line}" for line in lines)
        for path in (directory / "logs" / "supervisor.log", log)
        if (lines := last_lines(path, _TAIL))
    ]
    return ClusterError(f"the test cluster did not start: {text}", "\n".join(tails))
