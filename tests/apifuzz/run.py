"""The long form of the requests: seeded, as many as fit into the time. Stalls and growth are faults, too."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.apifuzz.drive import EVERY, Drive
from tests.apifuzz.requests import request
from tests.apifuzz.server import fuzzed

MOST_GROWTH = 1.5
"""Resident memory at the end, of what it was after a quarter of the time."""
_LEAST_SECONDS = 240


def requests(seed: int, seconds: float) -> int:
    """Exit status."""
    with tempfile.TemporaryDirectory(prefix="apifuzz-") as folder, fuzzed(Path(folder)) as server:
        drive = Drive(server)
        early = _ask(drive, random.Random(seed), seconds / 4)
        late = _ask(drive, random.Random(seed + 1), seconds * 3 / 4)
        drive.close()
        print(f"seed {seed}: {drive.summary()}", file=sys.stderr)
        return _judge(drive, early, late, seconds)


def _ask(drive: Drive, rng: random.Random, seconds: float) -> int:
    """Resident memory at the end, in bytes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(EVERY):
            drive.ask(request(rng))
        drive.look()
    return drive.server.report().rss


def _judge(drive: Drive, early: int, late: int, seconds: float) -> int:
    for text in drive.faults.values():
        print(f"\n--- a fault\n{text}", file=sys.stderr)
    for used, late_by, where in drive.stalls:
        print(
            f"\n--- the loop stood still for {used * 1000:.0f} ms ({late_by * 1000:.0f}) at\n{where}",
            file=sys.stderr,
        )
    grown = seconds >= _LEAST_SECONDS and late > MOST_GROWTH * early
    if grown:
        print(f"\n--- grown from {early >> 20} to {late >> 20} MiB", file=sys.stderr)
    return int(bool(drive.faults or drive.stalls or grown))
