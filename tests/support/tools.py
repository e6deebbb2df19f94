"""Programs the tests need beside Python: found on the machine, or the test is skipped and says so."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRE = "KUBERAFT_REQUIRE_TOOLS"  # set in CI: a missing tool is then a failure


def require_tool(name: str) -> str:
    """The path of the program; skips (fails in CI) when it is not installed."""
    path = shutil.which(name)
    if path is None and os.environ.get(REQUIRE):
        pytest.fail(f"{name} is not installed, and {REQUIRE} asks for it")
    if path is None:
        pytest.skip(f"{name} is not installed on this machine")
    return path
