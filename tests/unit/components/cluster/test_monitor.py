"""When a silent master is given up: at once if it does nothing, later if it works."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.cluster import ipc, monitor
from components.cluster.monitor import MasterMonitor
from components.cluster.status import MemberAnswer

ANSWER = {
    "name": "m1",
    "memberId": "1",
    "leader": True,
    "leaderName": "m1",
    "term": 1,
    "appliedIndex": 1,
    "revision": 1,
    "dbSize": 1,
    "ready": True,
    "stalls": 0,
    "memory": 1,
}


def first_reports(path: Path, cpu: Iterator[float], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each of the first two reports has an answer: the second question is answered after 0.4 s."""
    monkeypatch.setattr(monitor, "ANSWER_TIMEOUT", 0.1)
    monkeypatch.setattr(monitor, "STEADY", 0.0)
    monkeypatch.setattr(monitor, "_cpu_seconds", lambda _: next(cpu))
    reports: list[MemberAnswer | None] = []
    asked = itertools.count()

    async def status(_: object) -> object:
        if next(asked):
            await asyncio.sleep(0.4)
        return ANSWER

    async def main() -> None:
        server = ipc.Server(path, {"status": status})
        await server.start()
        both = asyncio.Event()

        def report(answer: MemberAnswer | None) -> None:
            reports.append(answer)
            if len(reports) == 2:
                both.set()

        task = asyncio.create_task(MasterMonitor("m1", path, report, lambda: 1).run())
        async with asyncio.timeout(10):
            await both.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()

    asyncio.run(main())
    return [report is not None for report in reports[:2]]


def test_a_silent_master_that_works_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_reports(tmp_path / "s", itertools.count(0.0, 0.1), monkeypatch) == [True, True]


def test_a_silent_master_that_is_idle_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_reports(tmp_path / "s", itertools.repeat(7.0), monkeypatch) == [True, False]
