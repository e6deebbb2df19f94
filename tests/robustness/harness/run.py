"""One run: a new cluster, clients and observers, faults for some seconds, then peace, last questions, the verdict."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from components.drills import disks
from components.drills.clock import clock_environment
from components.drills.disks import Disk
from components.drills.recording.recorder import Client, Recorder
from components.drills.recording.watcher import Watcher
from kvstore.check.history import History, Put, Range, Watch
from kvstore.check.html import page
from kvstore.check.report import report
from kvstore.check.verdict import Verdict, check
from kvstore.rpc.proto import rpc_pb2
from tests.robustness.harness import disk_faults, faults, member_faults, traffic
from tests.robustness.harness.cluster import OURS, Cluster
from tests.robustness.harness.faults import Fault, Field

CLIENTS = 8
PAUSE_SECONDS = 0.012
CATCH_UP_SECONDS = 20.0
FAULTS: tuple[type[Fault], ...] = (
    faults.KillLeader,
    faults.KillFollower,
    faults.KillAll,
    faults.Pause,
    faults.Isolate,
    faults.OneWay,
    faults.OneLink,
    faults.Flap,
    faults.Delay,
    faults.Compaction,
    faults.MoveLeader,
    faults.FallBehind,
    member_faults.ReplaceMember,
    disk_faults.FullDisk,
    disk_faults.DiskErrors,
    disk_faults.PowerLoss,
    disk_faults.ClockJump,
)


@dataclass
class Plan:
    """What one run does; everything else follows from `seed`. `only`: names of faults, all if empty."""

    seed: int
    seconds: float = 5.0
    only: tuple[str, ...] = ()
    program: Sequence[str] = OURS
    members: int = 3
    pause: float = PAUSE_SECONDS
    """How long a client waits between two calls, on average."""
    flags: Sequence[str] = ()
    """For every member, besides those it needs."""
    keep: Path | None = None
    """Where a failed run leaves its history, its page and its logs."""
    keep_all: bool = False


@dataclass
class Outcome:
    plan: Plan
    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    kept: Path | None = None
    seconds: float = 0.0
    recovery: float = 0.0
    """Seconds from the end of the faults until every member serves."""
    gap: float = 0.0
    """The longest time in seconds without an acknowledged write."""

    @property
    def passed(self) -> bool:
        return not self.problems and self.verdict is not None and self.verdict.passed

    def line(self) -> str:
        """One line for one run."""
        verdict = self.verdict
        size = (
            f"{verdict.calls} calls, {verdict.unknown} unknown, {verdict.events} events"
            if verdict
            else "no verdict"
        )
        state = "pass" if self.passed else "FAIL"
        kept = f" kept in {self.kept}" if self.kept else ""
        times = f"gap {self.gap:.1f} s, recovery {self.recovery:.1f} s"
        return f"{state} seed {self.plan.seed}: {size}, {times}: {' '.join(self.faults) or '-'}{kept}"


def run(plan: Plan) -> Outcome:
    """Never raises for what the cluster does; problems are in the outcome."""
    directory = Path(tempfile.mkdtemp(prefix="kvstore-robustness-"))
    started = time.monotonic()
    outcome = Outcome(plan)
    recorder = Recorder()
    try:
        asyncio.run(_Run(plan, directory, recorder, outcome).run())
    except Exception as error:
        outcome.problems += _told(error)
    history = recorder.history()
    outcome.gap = _longest_gap(history)
    outcome.verdict = check(history)
    outcome.seconds = time.monotonic() - started
    if not outcome.passed or plan.keep_all:
        outcome.kept = _keep(plan, directory, recorder, outcome)
    shutil.rmtree(directory, ignore_errors=True)
    return outcome


def _longest_gap(history: History) -> float:
    written = sorted(
        c.returned for c in history.calls if isinstance(c.request, Put) and c.outcome == "ok" and c.returned
    )
    return max((after - before for before, after in pairwise(written)), default=0) / 1e9


def _keep(plan: Plan, directory: Path, recorder: Recorder, outcome: Outcome) -> Path:
    kept = (plan.keep or Path(tempfile.gettempdir()) / "kvstore-robustness-failed") / str(plan.seed)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    recorder.write(kept / "history.jsonl")
    assert outcome.verdict is not None
    (kept / "report.html").write_text(page(recorder.history(), outcome.verdict), encoding="utf-8")
    (kept / "report.txt").write_text(
        "\n".join([outcome.line(), *outcome.problems, report(outcome.verdict)]) + "\n"
    )
    for log in directory.glob("*.log"):
        shutil.copy(log, kept)
    return kept


class _Run:
    def __init__(self, plan: Plan, directory: Path, recorder: Recorder, outcome: Outcome) -> None:
        self._plan = plan
        self._directory = directory
        self._recorder = recorder
        self._outcome = outcome
        self._rng = random.Random(plan.seed)
        self._ours = tuple(plan.program) == OURS
        snapshot_count = self._rng.choice((50, 500, 10_000))
        self._cluster = Cluster(
            directory, plan.program, flags=[f"--snapshot-count={snapshot_count}", *plan.flags]
        )
        self._watchers: list[Watcher] = []

    async def run(self) -> None:
        chosen = self._choose()
        try:
            await self._start(chosen)
            watching = [asyncio.create_task(watcher.run()) for watcher in self._watch()]
            try:
                await self._under_faults(chosen)
                await self._afterwards()
            finally:
                for task in watching:
                    task.cancel()
                ended = await asyncio.gather(*watching, return_exceptions=True)
            self._outcome.problems += [f"an observer ended: {e!r}" for e in ended if isinstance(e, Exception)]
        finally:
            self._outcome.problems += self._cluster.ended
            await self._cluster.close()

    def _choose(self) -> list[Fault]:
        """Three kinds of faults a run, so that a run has a character of its own."""
        kinds = [kind for kind in FAULTS if self._possible(kind)]
        if self._plan.only:
            return [kind() for kind in kinds if kind.name in self._plan.only]
        return [kind() for kind in self._rng.sample(kinds, 3)]

    def _possible(self, kind: type[Fault]) -> bool:
        if kind.ours_only and not self._ours:
            return False
        if kind is disk_faults.ClockJump:
            return bool(clock_environment(self._directory, "probe"))
        return not kind.needs_disk or disks.available()

    async def _start(self, chosen: list[Fault]) -> None:
        with_disks = any(fault.needs_disk for fault in chosen)
        with_clock = any(isinstance(fault, disk_faults.ClockJump) for fault in chosen)
        names = [f"m{number + 1}" for number in range(self._plan.members)]
        made = [Disk(self._directory, name) for name in names] if with_disks else []
        clocks = [clock_environment(self._directory, name) for name in names] if with_clock else []
        await self._cluster.create(made, clocks, count=self._plan.members)
        for member in self._cluster.members:
            self._cluster.start(member)
        await self._cluster.ready()

    def _watch(self) -> list[Watcher]:
        """Progress is not asked of etcd: until 3.4.25 it answers wrongly (etcd-io/etcd#15220), which this finds."""
        key, end = traffic.ALL
        wanted = [
            (Watch(0, 100, 0, key, end, 2, prev_kv=True, progress_notify=True), False),
            (Watch(0, 101, 0, key, end, prev_kv=True), True),
            (Watch(0, 102, 0, "k2", "k5", 2, filters=("NODELETE",)), False),
            (Watch(0, 103, 0, "k1", prev_kv=True), True),
        ]
        self._watchers = [
            Watcher(watch, self._cluster.endpoints, self._recorder, self._rng, leader, self._ours)
            for watch, leader in wanted
        ]
        return self._watchers

    async def _under_faults(self, chosen: list[Fault]) -> None:
        stop = asyncio.Event()
        endpoints = self._cluster.endpoints
        clients = [Client(number, endpoints, self._recorder) for number in range(1, CLIENTS + 1)]
        area = Field(self._cluster, Client(50, endpoints, self._recorder), self._recorder, self._rng)
        async with asyncio.TaskGroup() as group:
            for client in clients:
                rng = random.Random(self._rng.random())
                group.create_task(traffic.Traffic(client, self._recorder, rng, self._plan.pause).run(stop))
            await self._inject(chosen, area)
            stop.set()

    async def _inject(self, chosen: list[Fault], area: Field) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._plan.seconds
        await area.wait(0.2, 0.6)
        while chosen and loop.time() < end:
            fault = self._rng.choice(chosen)
            self._outcome.faults.append(fault.name)
            await fault.inject(area)
            await area.wait(0.1, 0.8)
        await asyncio.sleep(max(0.0, end - loop.time()))
        self._cluster.network.heal()
        self._cluster.ensure_running()

    # The end.

    async def _afterwards(self) -> None:
        """All members serve again, agree, and have told every observer everything."""
        healed = time.monotonic()
        await self._cluster.ready()
        self._outcome.recovery = time.monotonic() - healed
        members = self._cluster.present
        last = Client(60, self._cluster.endpoints, self._recorder)
        for member in members:
            last.pin(self._cluster.members.index(member))
            await last.call(Put("k0", f"last-{member.name}"), 5.0)
            await last.call(Range(*traffic.ALL), 5.0)
            await last.call(Range(*traffic.ALL, serializable=True), 5.0)
        await self._same_hash()
        await self._all_told()

    async def _same_hash(self) -> None:
        revision, hashes = self._recorder.revision, {}
        request = rpc_pb2.HashKVRequest(revision=revision)
        endpoints = [self._cluster.endpoints[self._cluster.members.index(m)] for m in self._cluster.present]
        deadline = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            hashes = {e.address: await self._hash(e, request) for e in endpoints}
            if len(set(hashes.values())) == 1 and None not in hashes.values():
                return
            await asyncio.sleep(0.2)
        self._outcome.problems.append(f"members differ at revision {revision} (hash, compacted): {hashes}")

    async def _hash(self, endpoint: Any, request: Any) -> tuple[int, int] | None:
        try:
            path = "/etcdserverpb.Maintenance/HashKV"
            answer = await endpoint.unary(path, request, rpc_pb2.HashKVResponse, 2.0)
        except grpc.aio.AioRpcError:
            return None
        return answer.hash, answer.compact_revision

    async def _all_told(self) -> None:
        """The observer of all keys has to come to the last revision."""
        revision, watcher = self._recorder.revision, self._watchers[0]
        deadline = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
        while watcher.seen < revision:
            if asyncio.get_running_loop().time() > deadline:
                text = f"the observer of all keys is at revision {watcher.seen}, the store at {revision}"
                return self._outcome.problems.append(text)
            await asyncio.sleep(0.05)
        return None


def _told(error: Exception) -> list[str]:
    """What went wrong; of a group, each of its errors."""
    if isinstance(error, ExceptionGroup):
        return [text for inner in error.exceptions for text in _told(inner)]
    return [f"{type(error).__name__}: {error}"]
