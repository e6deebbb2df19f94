"""Drills over the API: who may, what reaches the supervisor, what comes back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from components.cluster import ipc
from components.cluster.drilling import DrillRuns
from components.dashboard.drills import Drills
from tests.support import quick_drill
from tests.support.api import Api, serving

DRILLS = "/kuberaft/v1/drills"


def operations(runs: DrillRuns) -> dict[str, ipc.Handler]:
    async def listed(request: dict[str, Any]) -> Any:
        return await runs.catalogue()

    async def start(request: dict[str, Any]) -> Any:
        return await runs.start(request["name"], request["options"])

    async def status(request: dict[str, Any]) -> Any:
        return runs.status(request["id"], request["since"])

    async def stop(request: dict[str, Any]) -> Any:
        return runs.stop(request["id"])

    async def report(request: dict[str, Any]) -> Any:
        return runs.report(request["id"])

    return {
        "drill-list": listed,
        "drill-start": start,
        "drill-status": status,
        "drill-stop": stop,
        "drill-report": report,
    }


def play(folder: Path, scene: Callable[[Api], Awaitable[None]], *, supervised: bool = True) -> None:
    async def main() -> None:
        socket = folder / "s.sock"
        runs = DrillRuns(folder, folder / "drills", (sys.executable, quick_drill.__file__))
        server = ipc.Server(socket, operations(runs))
        if supervised:
            await server.start()
        try:
            async with asyncio.timeout(30), serving(folder, extensions=[Drills(socket)]) as api:
                await scene(api)
        finally:
            await runs.close()
            await server.stop()

    asyncio.run(main())


async def ended(api: Api, run: str) -> Any:
    while (status := (await api.ask("GET", f"{DRILLS}/{run}")).body)["state"] == "running":  # noqa: ASYNC110  a process
        await asyncio.sleep(0.01)
    return status


def test_from_the_list_to_the_report(tmp_path: Path) -> None:
    async def scene(api: Api) -> None:
        listed = await api.ask("GET", DRILLS)
        assert [drill["name"] for drill in listed.body["drills"]] == ["leader-kill", "held", "wrong"]
        run = (await api.create(DRILLS, {"name": "leader-kill"}))["id"]
        status = await ended(api, run)
        assert status["state"] == "passed"
        assert (await api.ask("GET", f"{DRILLS}/{run}?since=2")).body["events"] == status["events"][2:]
        assert b"<h1>leader-kill</h1>" in (await api.ask("GET", f"{DRILLS}/{run}/report.html")).body

    play(tmp_path, scene)


def test_who_may_not_starts_nothing(tmp_path: Path) -> None:
    async def scene(api: Api) -> None:
        assert (await api.ask("POST", DRILLS, {"name": "leader-kill"}, token="aliceToken")).code == 403
        assert (await api.ask("GET", DRILLS, token=None)).code == 403
        assert (await api.ask("GET", DRILLS)).body["runs"] == []

    play(tmp_path, scene)


def test_bad_requests_are_told_what_is_wrong(tmp_path: Path) -> None:
    async def scene(api: Api) -> None:
        cases: list[tuple[str, str, Any, int, str]] = [
            ("POST", "", {"name": "nothing"}, 400, "there is no drill 'nothing'"),
            ("POST", "", {"drill": "x"}, 400, "the body names no drill"),
            ("POST", "", {"name": "leader-kill", "options": {"dir": 1}}, 400, "no option here"),
            ("GET", "/none", None, 400, "there is no drill run 'none'"),
            ("GET", "/none?since=x", None, 400, "no number of messages"),
            ("GET", "/a/b/c", None, 404, ""),
            ("PUT", "", {}, 405, ""),
        ]
        for method, path, body, code, said in cases:
            answer = await api.ask(method, DRILLS + path, body)
            assert (answer.code, said in answer.message) == (code, True), answer

    play(tmp_path, scene)


def test_a_master_without_a_supervisor_says_so(tmp_path: Path) -> None:
    async def scene(api: Api) -> None:
        answer = await api.ask("GET", DRILLS)
        assert answer.code == 503
        assert "supervisor does not answer" in answer.message

    play(tmp_path, scene, supervised=False)
