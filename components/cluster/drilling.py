"""Drills that somebody asked for over the control socket: each a process of its own, `kuberaft drill NAME`.

Fed by `control` (masters forward what the dashboard asks); owned by the supervisor's process, which outlives the
masters that a drill ends. Its messages (one JSON object a line) and its report are kept for whoever asks; what they
mean is between the drill and the reader. One drill runs at a time: two would judge each other's faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from components.cluster.errors import ClusterError

COMMAND: Final = (sys.executable, "-m", "components.cluster", "drill")
EVENTS_KEPT = 2000  # messages of one run
RUNS_KEPT = 20
LIST_SECONDS = 20.0
STOP_SECONDS = 20.0  # for a drill to undo its faults
LINE_LIMIT = 1 << 20
OWN_CLUSTER = "own-cluster"  # a drill's need, as `kuberaft drill list` names it

OPTIONS: Final = ("seed", "repeat")  # no file and no other cluster may be named from afar

Options = Mapping[str, int]


@dataclass
class Run:
    """`state`: running, passed, failed (its hypothesis did not hold), error or stopped. Times: seconds since 1970."""

    id: str
    name: str
    directory: Path
    started: float
    state: str = "running"
    ended: float | None = None
    exit: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    judged: bool = False  # it came to a verdict
    stopping: bool = False
    process: asyncio.subprocess.Process | None = None

    def heard(self, line: str) -> None:
        """Keep a message; what is no JSON object is kept as its text."""
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            self._keep(message if isinstance(message, dict) else {"text": line})
            return
        self._keep({"text": line})

    def _keep(self, message: dict[str, Any]) -> None:
        self.judged = self.judged or message.get("event") == "verdict"
        self.events.append(message)
        if len(self.events) > EVENTS_KEPT:
            del self.events[0]
            self.dropped += 1

    def has_ended(self, code: int, now: float) -> None:
        """Exit status 0: the hypothesis held; 1 after a verdict: it did not; else the drill could not be done."""
        self.exit, self.ended = code, now
        if self.stopping:
            self.state = "stopped"
        elif code == 0:
            self.state = "passed"
        else:
            self.state = "failed" if self.judged else "error"

    @property
    def report(self) -> Path | None:
        """The report's page, once there is one."""
        return next(iter(sorted(self.directory.rglob("report.html"))), None)

    def summary(self) -> dict[str, Any]:
        """Without messages."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "started": self.started,
            "ended": self.ended,
            "exit": self.exit,
            "report": self.report is not None,
        }


class DrillRuns:
    """Of one cluster: its data directory is `root`, reports go below `reports`."""

    def __init__(self, root: Path, reports: Path, command: Sequence[str] = COMMAND) -> None:
        self._root = root
        self._reports = reports
        self._command = command
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._drills: list[Any] | None = None

    async def catalogue(self) -> dict[str, Any]:
        """What can be run (asked once), and the runs, newest first. Raises ClusterError."""
        if self._drills is None:
            self._drills = await self._list()
        runs = [run.summary() for run in reversed(self._runs.values())]
        return {"kind": "DrillList", "drills": self._drills, "runs": runs}

    async def start(self, name: str, options: Options) -> dict[str, Any]:
        """Raises ClusterError for a drill that there is not, and while another runs."""
        known = {drill["name"]: drill for drill in (await self.catalogue())["drills"]}
        if name not in known:
            raise ClusterError(f"there is no drill {name!r}", f"the drills are {', '.join(known) or 'none'}")
        busy = next((run for run in self._runs.values() if run.state == "running"), None)
        if busy is not None:
            raise ClusterError(f"the drill {busy.name} is running", "wait for its end, or stop it")
        flags = [*self._place(known[name]), *_flags(options)]
        run = self._new(name)
        run.process = await self._spawn(run, flags)
        task = asyncio.create_task(self._follow(run, run.process), name=f"drill {run.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run.summary()

    def status(self, run_id: str, since: int = 0) -> dict[str, Any]:
        """One run, with its messages from number `since` on. Raises ClusterError."""
        run = self._run(run_id)
        first = max(since - run.dropped, 0)
        return {**run.summary(), "next": run.dropped + len(run.events), "events": run.events[first:]}

    def stop(self, run_id: str) -> dict[str, Any]:
        """Ask a run to end, as Ctrl-C does: it undoes its faults. Raises ClusterError."""
        run = self._run(run_id)
        if run.state == "running" and run.process is not None:
            run.stopping = True
            with contextlib.suppress(ProcessLookupError):
                run.process.send_signal(signal.SIGINT)
        return run.summary()

    def report(self, run_id: str) -> str:
        """The text of a run's report. Raises ClusterError while there is none."""
        path = self._run(run_id).report
        if path is None:
            raise ClusterError(f"{run_id}: there is no report yet", "it is written at the drill's end")
        return path.read_text()

    async def close(self) -> None:
        """End what runs: faults are undone, no process is left."""
        for run in list(self._runs.values()):
            self.stop(run.id)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _place(self, drill: Mapping[str, Any]) -> list[str]:
        """On this cluster, unless the drill must have one of its own: that one is started beside it."""
        return [] if OWN_CLUSTER in drill.get("needs", ()) else ["--dir", str(self._root)]

    def _new(self, name: str) -> Run:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        run_id, number = f"{name}-{stamp}", 1
        while run_id in self._runs:
            number += 1
            run_id = f"{name}-{stamp}-{number}"
        run = self._runs[run_id] = Run(run_id, name, self._reports / run_id, now)
        while len(self._runs) > RUNS_KEPT:
            del self._runs[next(iter(self._runs))]
        return run

    def _run(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise ClusterError(f"there is no drill run {run_id!r}", "GET drills names them")
        return run

    async def _list(self) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            "list",
            "-o",
            "json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(LIST_SECONDS):
                out, error = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ClusterError("kuberaft drill list does not end", "run it by hand to see why") from None
        if process.returncode != 0:
            said = error.decode(errors="replace").strip().splitlines()
            raise ClusterError(f"kuberaft drill list: {said[-1] if said else 'failed'}", "run it by hand")
        return _drills(out)

    async def _spawn(self, run: Run, flags: Sequence[str]) -> asyncio.subprocess.Process:
        run.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.create_subprocess_exec(
            *self._command,
            run.name,
            *("--report", str(run.directory), "--progress", "json"),
            *flags,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C in the supervisor's terminal reaches it through `close`, once
        )

    async def _follow(self, run: Run, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                try:
                    line = await process.stdout.readline()
                except ValueError:  # a line beyond the limit is no message
                    continue
                if not line:
                    break
                run.heard(line.decode(errors="replace").rstrip())
            run.has_ended(await process.wait(), time.time())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            run.has_ended(await process.wait(), time.time())
            raise


def _drills(out: bytes) -> list[Any]:
    """The list in what `drill list -o json` prints: a list, or an object with it under `drills` or `items`."""
    try:
        answer = json.loads(out)
    except ValueError as error:
        raise ClusterError(f"kuberaft drill list prints no JSON: {error}", "use one version") from error
    found = answer.get("drills") or answer.get("items") or [] if isinstance(answer, dict) else answer
    return [drill if isinstance(drill, dict) else {"name": str(drill)} for drill in found]


def _flags(options: Options) -> list[str]:
    """`{"seed": 1}` is `--seed=1`. Raises ClusterError for what is no option."""
    flags = []
    for name, value in options.items():
        if name not in OPTIONS:
            raise ClusterError(f"{name!r} is no option here", f"the options are {', '.join(OPTIONS)}")
        flags.append(f"--{name}={value}")
    return flags
