"""Ends a cluster from outside its supervisor, also when the supervisor was killed and pods are left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
import sys
import time

from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout, unusable
from components.cluster.prepare import take_lock

STOP_TIMEOUT = 40.0  # the supervisor's own bounds add up to less


def stop(layout: Layout) -> bool:
    """Stop what runs in `layout`; True when something did. Raises ClusterError when it does not end
    in time.
    """
    if not layout.exists():
        raise ClusterError(f"{layout.root}: there is no cluster", "name its directory: --dir DIR")
    ending = _begin(layout)
    lock = _wait_for_lock(layout)
    try:
        if ending is None:
            end_pods(layout)
        else:
            _wait_for_end(ending)
        shutil.rmtree(layout.run, ignore_errors=True)
    finally:
        os.close(lock)
    return ending is not None


def _begin(layout: Layout) -> int | None:
    """The supervisor, told to end, as a pidfd; None when there is none."""
    try:
        return os.pidfd_open(asyncio.run(ipc.call(layout.socket, "down")))
    except (ipc.NotRunning, ProcessLookupError):
        return None


def _wait_for_end(process: int) -> None:
    """It lets go of its lock a moment before it is gone."""
    try:
        waiting = select.poll()
        waiting.register(process, select.POLLIN)
        if not waiting.poll(STOP_TIMEOUT * 1000):
            raise ClusterError(
                f"the cluster's supervisor did not end within {STOP_TIMEOUT:.0f} s",
                "look at it with: kuberaft logs supervisor",
            )
    finally:
        os.close(process)


def end_pods(layout: Layout, module: str = "components.worker") -> None:
    """End what killed kubelets have left running, by their own records."""
    for directory in sorted(layout.workers.glob("*/")):
        config = layout.config_file(directory.name)
        if not config.exists():
            continue
        arguments = [sys.executable, "-m", module, "--config", str(config), "--end-pods"]
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        if result.returncode != 0:
            raise ClusterError(
                f"the pods of {directory.name} could not be ended:\n{result.stderr.strip()[-2000:]}",
                f"the kubelet's records are in {directory}",
            )


def purge(layout: Layout) -> None:
    """Delete a stopped cluster's files, and the directory when nothing else is in it."""
    for name in sorted(layout.own_names()):
        path = layout.root / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(path, error) from error
    with contextlib.suppress(OSError):
        layout.root.rmdir()


def _wait_for_lock(layout: Layout) -> int:
    """The lock, once the supervisor has let go of it."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while True:
        layout.run.mkdir(mode=0o700, exist_ok=True)
        try:
            return take_lock(layout)
        except ClusterError as error:
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"the cluster did not stop within {STOP_TIMEOUT:.0f} s", error.message
                ) from error
        time.sleep(0.05)
