"""Drills that the supervisor runs, with a quick stand-in for the drill itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from components.cluster import drilling
from components.cluster.drilling import DrillRuns, Run
from components.cluster.errors import ClusterError
from tests.support import quick_drill

COMMAND = (sys.executable, quick_drill.__file__)


def play(folder: Path, scene: Callable[[DrillRuns], Awaitable[None]]) -> None:
    async def main() -> None:
        runs = DrillRuns(folder, folder / "drills", COMMAND)
        try:
            async with asyncio.timeout(30):
                await scene(runs)
        finally:
            await runs.close()

    asyncio.run(main())


async def until(runs: DrillRuns, run: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while not holds(status := runs.status(run)):  # noqa: ASYNC110  what a process says cannot be awaited
        await asyncio.sleep(0.01)
    return status


async def ended(runs: DrillRuns, run: str) -> dict[str, Any]:
    return await until(runs, run, lambda status: status["state"] != "running")


def test_a_drill_is_started_followed_and_reported(tmp_path: Path) -> None:
    async def scene(runs: DrillRuns) -> None:
        run = (await runs.start("leader-kill", {"seed": 1}))["id"]
        status = await ended(runs, run)
        assert (status["state"], status["exit"], status["report"]) == ("passed", 0, True)
        said = [event.get("event") for event in status["events"]]
        assert said == ["run", None, "phase", "fault", "state", "verdict", "end"]
        assert status["events"][0]["site"] == "directory"
        assert status["events"][1] == {"text": "a word that is no JSON"}
        assert runs.status(run, 2)["events"] == status["events"][2:]
        assert "leader-kill" in runs.report(run)
        assert [one["id"] for one in (await runs.catalogue())["runs"]] == [run]

    play(tmp_path, scene)


def test_a_hypothesis_that_does_not_hold_is_told_from_a_drill_that_passed(tmp_path: Path) -> None:
    async def scene(runs: DrillRuns) -> None:
        run = (await runs.start("wrong", {}))["id"]
        status = await ended(runs, run)
        assert status["state"] == "failed"
        assert status["events"][0]["site"] == "own"  # it needs a cluster of its own

    play(tmp_path, scene)


def test_a_drill_that_cannot_be_done_is_no_verdict(tmp_path: Path) -> None:
    run = Run("x", "x", tmp_path, 0.0)
    run.heard("error: no cluster runs there")
    run.has_ended(1, 1.0)
    assert run.state == "error"


def test_one_drill_runs_at_a_time_and_can_be_ended(tmp_path: Path) -> None:
    async def scene(runs: DrillRuns) -> None:
        run = (await runs.start("held", {}))["id"]
        await until(runs, run, lambda status: len(status["events"]) == 3)
        with pytest.raises(ClusterError, match="held is running"):
            await runs.start("wrong", {})
        runs.stop(run)
        assert (await ended(runs, run))["state"] == "stopped"
        with pytest.raises(ClusterError, match="no report yet"):
            runs.report(run)

    play(tmp_path, scene)


def test_the_end_of_the_supervisor_ends_a_drill(tmp_path: Path) -> None:
    states: list[str] = []

    async def scene(runs: DrillRuns) -> None:
        run = (await runs.start("held", {}))["id"]
        await until(runs, run, lambda status: len(status["events"]) == 3)
        await runs.close()
        states.append(runs.status(run)["state"])

    play(tmp_path, scene)
    assert states == ["stopped"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nothing", {}, "there is no drill 'nothing'"),
        ("leader-kill", {"dir": 1}, "'dir' is no option here"),
        ("leader-kill", {"seed=1 --dir": 1}, "is no option here"),
    ],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, options: dict[str, Any], said: str
) -> None:
    async def scene(runs: DrillRuns) -> None:
        with pytest.raises(ClusterError, match=said):
            await runs.start(name, options)
        assert (await runs.catalogue())["runs"] == []

    play(tmp_path, scene)


def test_old_messages_and_runs_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drilling, "EVENTS_KEPT", 3)
    run = Run("x", "x", tmp_path, 0.0)
    for number in range(5):
        run.heard(f'{{"n": {number}}}')
    runs = DrillRuns(tmp_path, tmp_path)
    runs._runs["x"] = run
    status = runs.status("x", 3)
    assert ([event["n"] for event in status["events"]], status["next"]) == ([3, 4], 5)
    assert [event["n"] for event in runs.status("x", 0)["events"]] == [2, 3, 4]
