"""The clock of the day that a cluster of the drill's own sees, by libfaketime: wrong by so many seconds, or right.

One file says how wrong, to every process that was started with the environment; clocks that only count (timeouts,
leases of the store) stay as they are, as when a machine's time is set. Go programs ask the kernel and are not fooled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LIBFAKETIME = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
)


def clock_environment(directory: Path, name: str) -> dict[str, str]:
    """What a process needs to be told the time by a file; empty where libfaketime is not installed."""
    library = next((path for path in LIBFAKETIME if path.exists()), None)
    if library is None:
        return {}
    clock = directory / f"{name}.clock"
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    set_clock(environment, 0)
    return environment


def set_clock(environment: Mapping[str, str], seconds: int) -> None:
    """Wrong by so many seconds, within a second from now."""
    Path(environment["FAKETIME_TIMESTAMP_FILE"]).write_text(f"{seconds:+d}\n")


@contextmanager
def started_with(environment: Mapping[str, str]) -> Iterator[None]:
    """Processes that are started meanwhile get it; this one goes on as it was."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
