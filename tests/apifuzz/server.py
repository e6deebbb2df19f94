"""The API server that is fuzzed: a process of its own over a store in memory, that tells how it fares when asked.

`python -m tests.apifuzz.server FOLDER` listens on a free port, prints it, and answers each line on its input with one
of JSON: the errors that it logged and the stalls of its loop since the last one. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import uvloop

from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage
from tests.apifuzz.watchdog import Errors, Watchdog
from tests.conformance.server import configuration

STOP_SECONDS = 10
_COMPACT_EVERY, _REVISIONS = 2.0, 500


class Report(NamedTuple):
    """Since the last one; ``rss`` in bytes."""

    errors: list[str]
    stalls: list[tuple[float, float, str]]
    beats: int
    rss: int


class Fuzzed:
    """A running server, seen from outside."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def report(self) -> Report:
        """Raises AssertionError when the server is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the server ended with {self._process.wait(STOP_SECONDS)}"
        told = json.loads(line)
        rss = psutil.Process(self._process.pid).memory_info().rss
        return Report(told["errors"], [tuple(stall) for stall in told["stalls"]], told["beats"], rss)


@contextlib.contextmanager
def fuzzed(folder: Path) -> Iterator[Fuzzed]:
    """Ended on exit. ``folder``: for its certificate and key."""
    command = [sys.executable, "-m", __name__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Fuzzed(process, int(process.stdout.readline()))
        finally:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _config(folder: Path) -> ApiServerConfig:
    gates = frozenset({"CBORServingAndStorage"})
    return configuration(folder, feature_gates=gates, request_timeout=10.0, min_request_timeout=1)


async def _serve(folder: Path) -> None:
    errors, watchdog = Errors(), Watchdog()
    logging.getLogger().addHandler(errors)
    storage = MemoryStorage()
    server = ApiServer(_config(folder), storage)
    await server.start()
    tasks = [asyncio.create_task(watchdog.run()), asyncio.create_task(_compact(storage))]
    gc.freeze()  # as `components.processes` does
    print(server.port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        told: dict[str, Any] = {"errors": errors.texts, **watchdog.take()}
        errors.texts = []
        print(json.dumps(told), flush=True)
    for task in tasks:
        task.cancel()
    await server.stop()


async def _compact(storage: MemoryStorage) -> None:
    """As a store does: the versions of the past are not growth."""
    while True:
        await asyncio.sleep(_COMPACT_EVERY)
        await storage.compact(max(storage.revision - _REVISIONS, 1))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))  # as the program does
