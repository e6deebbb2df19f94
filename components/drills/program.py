"""The program that a cluster is upgraded to: a Python interpreter with a kuberaft of its own.

Asked by `faults.upgrade` before the first process is stopped, and by `session` before anything begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass

from components.cluster.errors import ClusterError

ASK_SECONDS = 20.0
_QUESTION = (
    "import importlib.metadata as m, importlib.util as u, os; "
    "print(m.version('kuberaft'), os.path.dirname(os.path.dirname(u.find_spec('components.master').origin)))"
)
_REMEDY = "name the Python of an environment that kuberaft is installed in: --to /path/to/.venv/bin/python"


@dataclass(frozen=True)
class Program:
    """`path` of the interpreter; `text` names package, place and whether it is the drill's own."""

    path: str
    text: str


async def program_of(to: str) -> Program:
    """What `to` runs, asked of itself; empty: the program that this drill is. Raises ClusterError."""
    path = os.path.abspath(os.path.expanduser(to)) if to else sys.executable  # noqa: ASYNC240 - asks no disk
    own = path == sys.executable
    said = await _asked(path, own=own)
    return Program(path, f"kuberaft {said}" + (" (this same program)" if own else f" by {path}"))


async def _asked(path: str, *, own: bool) -> str:
    """Without our working directory and PYTHONPATH, as it is started later (`components.cluster.zygote`)."""
    environment = {k: v for k, v in os.environ.items() if own or k != "PYTHONPATH"}
    flags = [] if own else ["-P"]
    try:
        process = await asyncio.create_subprocess_exec(
            path, *flags, "-c", _QUESTION, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
        )
    except OSError as error:
        raise ClusterError(f"{path}: cannot be run: {error.strerror}", _REMEDY) from error
    try:
        async with asyncio.timeout(ASK_SECONDS):
            out, wrong = await process.communicate()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise ClusterError(f"{path}: does not answer", _REMEDY) from error
        raise
    if process.returncode != 0:
        last = wrong.decode(errors="replace").strip().rpartition("\n")[2]
        raise ClusterError(f"{path}: is no Python with kuberaft: {last}", _REMEDY)
    version, _, place = out.decode().strip().partition(" ")
    return f"{version} in {place}"
