"""A real cluster of real processes for end-to-end tests, driven as a user does: `kuberaft` and kubectl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.support.tools import require_tool

T = TypeVar("T")

COMMAND_SECONDS = 60
TOPOLOGY = """\
name: ha
masters: {count: 3, apiPort: 0}
workers: {count: 2}
"""


class CommandFailed(AssertionError):
    """A command ended with an unexpected status; the message shows its output."""


def eventually(probe: Callable[[], T | None], what: str, seconds: float = 30.0) -> T:
    """The first truthy answer of `probe`. Real processes have no virtual clock: polling happens here."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} (last answer: {answer!r})")
        time.sleep(0.1)


class LocalCluster:
    """Start with `up`; `close` ends every process, also after a failed test."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self.kubeconfig = directory / "kubeconfig"

    def up(self, topology: str = TOPOLOGY, *flags: str, seconds: float = COMMAND_SECONDS) -> None:
        """Start with the given topology (YAML) and return when all nodes are Ready."""
        file = self.dir.with_suffix(".yaml")
        file.write_text(topology)
        self.kuberaft("up", "--detach", "--config", str(file), *flags, seconds=seconds)

    def close(self) -> None:
        self.run_kuberaft("down")

    def run_kuberaft(self, *args: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "components.cluster.cli", *args, "--dir", str(self.dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)

    def kuberaft(self, *args: str, seconds: float = COMMAND_SECONDS) -> str:
        return _output(self.run_kuberaft(*args, seconds=seconds))

    def run_kubectl(
        self, *args: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        command = [require_tool("kubectl"), "--kubeconfig", str(self.kubeconfig), *args]
        env = {**os.environ, "KUBECACHEDIR": f"{self.dir}-kubectl-cache"}
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False, env=env
        )

    def kubectl(self, *args: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
        return _output(self.run_kubectl(*args, stdin=stdin, seconds=seconds))

    def get(self, *args: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.kubectl("get", *args, "-o", "json"))
        return answer

    def apply(self, manifest: str) -> str:
        return self.kubectl("apply", "-f", "-", stdin=manifest)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.kuberaft("status", "-o", "json"))
        return answer

    def process_ids(self) -> dict[str, int]:
        """Pids of the running masters and workers by name."""
        return {p["name"]: p["pid"] for p in self.status()["processes"] if p["pid"]}

    def kill_everything(self) -> None:
        """SIGKILL the supervisor and all processes at once, as a power cut would."""
        status = self.status()
        pids = [status["supervisor"]["pid"], *self.process_ids().values()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(is_running, pids)), "all processes are gone")


def is_running(pid: int) -> bool:
    """True while the process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _output(result: subprocess.CompletedProcess[str]) -> str:
    if result.returncode != 0:
        command = " ".join(map(str, result.args))
        raise CommandFailed(f"{command}\nexit status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout
