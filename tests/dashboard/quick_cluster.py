"""A real cluster whose drills are quick: `kuberaft up` with `tests.support.quick_drill` in their place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from components.cluster import run
from components.cluster.drilling import DrillRuns
from tests.support import quick_drill
from tests.support.local_cluster import LocalCluster

COMMAND = (sys.executable, quick_drill.__file__)


class QuickRuns(DrillRuns):
    def __init__(self, root: Path, reports: Path) -> None:
        super().__init__(root, reports, COMMAND)


class QuickCluster(LocalCluster):
    """As `kuberaft up --detach`, in a process that knows the stand-in."""

    def up(self, topology: str = "", *flags: str, seconds: float = 60.0) -> None:
        file = self.dir.with_suffix(".yaml")
        file.write_text(topology)
        read, write = os.pipe()
        arguments = ["up", "--dir", str(self.dir), "--config", str(file), "--notify-fd", str(write), *flags]
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *arguments],
            pass_fds=(write,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(write)
        with os.fdopen(read) as lines:
            said = lines.read()
        if run.READY not in said:
            process.wait(timeout=seconds)
            raise AssertionError(said)
        self.process = process

    def close(self) -> None:
        super().close()
        self.process.wait(timeout=30)


if __name__ == "__main__":
    from components.cluster.cli import main

    run.DrillRuns = QuickRuns  # type: ignore[misc]
    main()
