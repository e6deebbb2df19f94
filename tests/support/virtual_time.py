"""An event loop whose clock jumps to the next timer when nothing is ready.

Unit tests run code that waits (back-off, leases, grace periods) through `run_virtual`, so an hour
passes in microseconds and the order of timers is exact. Real I/O does not work here by design: a test
that waits for a socket with no timer pending fails instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is pending: in virtual time nothing can ever happen again."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never blocks: moves the loop's clock forward by the time it was asked to wait."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError("virtual time: no task is ready and no timer is pending")
        self.loop.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 and only moves when every task waits for a timer."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time, as `asyncio.run` does in real time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
