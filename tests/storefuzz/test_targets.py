"""A few seconds of every target; `make storefuzz SECONDS=600` is the long form."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.storefuzz.targets import TARGETS

SECONDS = 2


@pytest.mark.parametrize("name", TARGETS)
def test_valid_input_is_taken(name: str) -> None:
    fuzzed = TARGETS[name]
    target = fuzzed.target()
    for content in fuzzed.seeds():
        target(content)
        target(content[: len(content) // 2])


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_clear_refusals(name: str) -> None:
    command = [sys.executable, "-m", "tests.storefuzz", name, "--seconds", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "stat::number_of_executed_units" in done.stderr
