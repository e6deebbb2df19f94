"""A thread for the log's writes, with less ado than an executor: one write costs two hand-overs.

Used by `kvstore.raft.syncing`, which has at most one write under way.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

Step = Callable[[], None]


class Disk:
    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[tuple[Step, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wal", daemon=True)
        self._thread.start()

    def run(self, step: Step) -> asyncio.Future[None]:
        """Done when `step` is, with the exception that it raised."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._steps.put((step, future))
        return future

    def stop(self) -> None:
        """Waits for the step that is running."""
        self._steps.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._steps.get()) is not None:
            step, future = item
            error: BaseException | None = None
            try:
                step()
            except BaseException as raised:
                error = raised
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
