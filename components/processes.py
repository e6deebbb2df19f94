"""What every process of a cluster does around its own work: logging, signals, an event loop, an exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from components.cluster.errors import ClusterError
from components.collector import Collector

logger = logging.getLogger(__name__)


def parser(program: str, text: str) -> argparse.ArgumentParser:
    """The command line that all have."""
    found = argparse.ArgumentParser(prog=f"python -m {program}", description=text)
    found.add_argument(
        "--config", type=Path, required=True, help="configuration file, written by kuberaft up"
    )
    found.add_argument(
        "-v", type=int, default=2, dest="verbosity", help="log level: 2 normal, 4 and more debug"
    )
    return found


def run(work: Callable[[], Coroutine[Any, Any, None]], verbosity: int = 2) -> int:
    """Run until `work` ends or SIGTERM or SIGINT cancels it; the exit code."""
    logging.basicConfig(
        level=logging.DEBUG if verbosity >= 4 else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    Collector().install()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(work()))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:
        leaves = _leaves(group)
        known = all(isinstance(error, ClusterError) for error in leaves)
        text = "; ".join(map(str, leaves))
        if known:
            print(f"error: {text}", file=sys.stderr)
        else:
            logger.error("ended by: %s", text, exc_info=group)
        return 1
    return 0


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logger.info("stopped")


def _leaves(group: BaseExceptionGroup[BaseException]) -> Sequence[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
