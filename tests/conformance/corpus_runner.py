"""Replays the recorded scenarios of a family against a server and says which pass."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.conformance import replay
from tests.conformance.server import CORPUS

FIRST_FAMILIES = ("crud", "concurrency", "deletion", "watch", "list-and-selectors")
FAMILY_SECONDS = 240
PASSING = CORPUS / "passing.json"


def families() -> list[str]:
    """Every recorded family by name."""
    return sorted(path.stem for path in CORPUS.glob("*.jsonl"))


def scenarios(family: str) -> list[dict[str, Any]]:
    lines = (CORPUS / f"{family}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def known_passing() -> dict[str, list[str]]:
    """By family the scenarios that passed when the list was last written."""
    listed: dict[str, list[str]] = json.loads(PASSING.read_text())
    return listed


def run_family(url: str, family: str) -> list[tuple[str, list[str]]]:
    """(name, differences) of each scenario; no differences means that it passed.

    In a process of its own: the replay tool leaves its sockets to the garbage collector.
    """
    command = [sys.executable, "-m", __name__, url, family]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FAMILY_SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"replaying {family} failed:\n{done.stderr}")
    return [(name, problems) for name, problems in json.loads(done.stdout)]


def replay_family(url: str, family: str) -> Iterator[tuple[str, list[str]]]:
    """As `run_family`, here."""
    client = replay.Client(url, dict(replay.DEFAULT_TOKENS), ca=None)
    for scenario in scenarios(family):
        try:
            problems = replay.Run(client, scenario, False, False).run()
        except (OSError, http.client.HTTPException) as error:
            client.close()
            problems = [f"{type(error).__name__}: {error}"]
        yield scenario["name"], list(problems)


if __name__ == "__main__":
    print(json.dumps(list(replay_family(*sys.argv[1:]))))
