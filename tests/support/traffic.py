"""Steady HTTP requests to a Service while something else happens to the cluster."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

INTERVAL_SECONDS = 0.02
TIMEOUT_SECONDS = 5.0


def ask(url: str) -> dict[str, Any]:
    """One request on a connection of its own; the decoded answer. Raises OSError."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


class Traffic:
    """`with Traffic(url) as traffic:` asks all the time; `.pods` and `.errors` say what came back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self.pods: list[str] = []
        self.errors: list[str] = []

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self.pods.append(ask(self._url)["pod"])
            except (OSError, ValueError) as error:
                self.errors.append(f"after {time.monotonic() - started:.2f} s: {error!r}")
