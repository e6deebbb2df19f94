"""Runs beside a server: measures its event loop from inside, and keeps what it logs as errors.

A stall is told by the processor time that the loop's thread spent between two heartbeats, so that a busy machine is
not mistaken for a busy loop. A thread looks at what the loop does meanwhile and keeps the place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from typing import Any

BEAT = 0.02
STALL = 0.1
_KEPT = 100


class Errors(logging.Handler):
    """What was logged as an error, with its traceback. A server under test should have nothing to log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts = [*self.texts, self.format(record)][-_KEPT:]


class Watchdog:
    """``stalls``: (seconds of processor time, seconds, where) of each stall since they were last taken."""

    def __init__(self) -> None:
        self.beats = 0
        self.stalls: list[tuple[float, float, str]] = []
        self._thread = threading.get_ident()
        self._beaten = time.monotonic()
        self._seen = ""
        self._over = threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)

    async def run(self) -> None:
        """Until cancelled."""
        self._looker.start()
        try:
            while True:
                used, self._beaten = time.thread_time(), time.monotonic()
                await asyncio.sleep(BEAT)
                self._beat(time.thread_time() - used, time.monotonic() - self._beaten - BEAT)
        finally:
            self._over.set()

    def _beat(self, used: float, late: float) -> None:
        self.beats += 1
        if used > STALL:
            self.stalls = [*self.stalls, (used, late, self._seen)][-_KEPT:]
        self._seen = ""

    def _look(self) -> None:
        """In a thread of its own."""
        while not self._over.wait(BEAT):
            if not self._seen and time.monotonic() - self._beaten > STALL * 0.7:
                frame = sys._current_frames().get(self._thread)
                with contextlib.suppress(RuntimeError):  # the stack may change while it is read
                    self._seen = "".join(traceback.format_stack(frame)[-12:])

    def take(self) -> dict[str, Any]:
        found, self.stalls = self.stalls, []
        return {"beats": self.beats, "stalls": found}
