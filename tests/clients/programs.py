"""Checks in a process of their own, for clients that leave threads and sockets to the end of it.

A program is a module with functions `check_NAME(kubeconfig)`; its last lines call `main`. A test module runs it once
and has a test for each check.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

SECONDS = 90
PREFIX = "check_"


def names(module: Any) -> list[str]:
    return [name.removeprefix(PREFIX) for name in vars(module) if name.startswith(PREFIX)]


def run(module: Any, kubeconfig: Path) -> dict[str, str]:
    """By check what went wrong; "" for nothing."""
    command = [sys.executable, "-m", module.__name__, str(kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(checks: dict[str, Any]) -> None:
    """In the process: all checks of the module, in their order."""
    found = {}
    for name, check in list(checks.items()):
        if name.startswith(PREFIX):
            found[name.removeprefix(PREFIX)] = _tried(check)
    print(json.dumps(found))


def _tried(check: Any) -> str:
    try:
        check(sys.argv[1])
    except BaseException:
        return traceback.format_exc()
    return ""
