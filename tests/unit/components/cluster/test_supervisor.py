"""The supervisor with real, tiny processes in the place of masters and workers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from components.cluster import control, ipc
from components.cluster.drilling import DrillRuns
from components.cluster.errors import ClusterError
from components.cluster.launcher import Launcher
from components.cluster.layout import Layout
from components.cluster.prepare import Prepared, prepare
from components.cluster.supervisor import Supervisor
from components.cluster.topology import Masters, Topology, Workers

DUMMY = "tests.unit.components.cluster.dummy"
MODULES = {"master": DUMMY, "worker": DUMMY}
TOPOLOGY = Topology(name="t", masters=Masters(count=1, api_port=0), workers=Workers(count=1))
Scene = Callable[[Supervisor, Layout], Awaitable[None]]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def proc(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()


def configure(prepared: Prepared, overrides: dict[str, dict[str, Any]]) -> None:
    """Replace the real configurations by those of the stand-ins."""
    layout = prepared.layout
    (layout.masters / "m1" / "member").mkdir(parents=True)
    for name in ("m1", "w1"):
        config = {
            "name": name,
            "socket": str(layout.admin_socket(name)),
            "nodes": ["w1"],
            "leader": name == "m1",
            "ended": str(layout.root / f"{name}.ended"),
            **overrides.get(name, {}),
        }
        layout.config_file(name).write_text(json.dumps(config))


def play(tmp_path: Path, scene: Scene, **overrides: dict[str, Any]) -> Layout:
    """Run a cluster of stand-ins, the scene beside it, and stop it."""
    layout = Layout.at(tmp_path / "c")
    prepared = prepare(layout, TOPOLOGY)
    configure(prepared, overrides)
    launcher = Launcher.open([DUMMY])

    async def main() -> None:
        supervisor = Supervisor(prepared, launcher, MODULES)
        server = control.server(supervisor, layout.socket, DrillRuns(layout.root, layout.drills))
        await server.start()
        running = asyncio.ensure_future(supervisor.run())
        try:
            async with asyncio.timeout(30):
                await scene(supervisor, layout)
        finally:
            supervisor.request_stop()
            try:
                await running
            finally:
                await server.stop()

    try:
        asyncio.run(main())
    finally:
        launcher.kill()
        prepared.close()
    return layout


async def ready(supervisor: Supervisor) -> dict[str, int]:
    """Wait until the cluster is ready; pids by name."""
    await supervisor.ready.wait()
    return {process.name: process.pid or 0 for process in supervisor.status().processes}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - real processes: there is no event to wait for
        await asyncio.sleep(0.01)


def state(supervisor: Supervisor, name: str) -> str:
    return next(p.state for p in supervisor.status().processes if p.name == name)


def test_a_cluster_becomes_ready_and_stops_without_leftovers(tmp_path: Path) -> None:
    pids: dict[str, int] = {}

    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        lines = [line async for line in supervisor.progress()]
        pids.update(await ready(supervisor))
        assert "all 1 nodes Ready" in lines[-1]
        status = supervisor.status()
        assert (status.ready, status.leader, status.members[0].revision) == (True, "m1", 5)
        assert status.supervisor.pid == os.getpid()

    layout = play(tmp_path, scene)
    assert not any(map(is_running, pids.values()))
    assert (layout.root / "w1.ended").read_text() == "pods ended"
    assert not layout.run.exists()


def test_a_process_has_its_own_name_and_command_line(tmp_path: Path) -> None:
    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        pid = (await ready(supervisor))["m1"]
        words = proc(pid, "cmdline").rstrip("\0").split("\0")
        assert words[1:] == ["-m", DUMMY, "--config", str(layout.config_file("m1"))]
        assert proc(pid, "comm").strip() == "kuberaft-m1"

    play(tmp_path, scene)


def test_a_process_is_started_by_another_interpreter_and_back(tmp_path: Path) -> None:
    """What it inherits may not hide the other's packages: it gets what the interpreter brings."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{Path.cwd()}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        await ready(supervisor)
        for program in (str(python), ""):
            supervisor.kill("m1", signal.SIGKILL)
            await until(lambda: state(supervisor, "m1") == "stopped")
            await ipc.call(layout.socket, "start", name="m1", program=program)
            await until(lambda: state(supervisor, "m1") == "ready")
            process = next(p for p in supervisor.status().processes if p.name == "m1")
            words = proc(process.pid or 0, "cmdline").rstrip("\0").split("\0")
            assert ("-P" in words) == bool(program)
            assert process.program == program
        assert state(supervisor, "w1") == "ready"

    play(tmp_path, scene)


def test_an_interpreter_that_there_is_not_ends_the_process_alone(tmp_path: Path) -> None:
    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        await ready(supervisor)
        supervisor.kill("m1", signal.SIGKILL)
        await until(lambda: state(supervisor, "m1") == "stopped")
        await supervisor.start("m1", str(tmp_path / "nowhere"))
        await until(lambda: state(supervisor, "m1") == "stopped")
        assert "FileNotFoundError" in layout.log("m1").read_text()
        await supervisor.start("m1")
        await until(lambda: state(supervisor, "m1") == "ready")

    play(tmp_path, scene)


def test_a_killed_master_is_seen_not_restarted_and_starts_when_asked(tmp_path: Path) -> None:
    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        before = await ready(supervisor)
        assert await ipc.call(layout.socket, "kill", name="leader", signal=signal.SIGKILL) == "m1"
        await until(lambda: state(supervisor, "m1") == "stopped")
        status = await ipc.call(layout.socket, "status")
        assert (status["ready"], status["processes"][0]["exit"]) == (False, "killed by SIGKILL")
        with pytest.raises(ClusterError, match="m1 is not running"):
            supervisor.kill("m1", signal.SIGTERM)
        pid = await ipc.call(layout.socket, "start", name="m1")
        await until(lambda: state(supervisor, "m1") == "ready")
        assert pid != before["m1"]
        with pytest.raises(ClusterError, match="m1 is running"):
            await ipc.call(layout.socket, "start", name="m1")

    play(tmp_path, scene)


def test_a_stopped_master_is_lost_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.cluster.monitor.ANSWER_TIMEOUT", 0.2)

    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        await ready(supervisor)
        supervisor.kill("m1", signal.SIGSTOP)
        await until(lambda: state(supervisor, "m1") == "starting")
        supervisor.kill("m1", signal.SIGCONT)
        await until(lambda: state(supervisor, "m1") == "ready")

    play(tmp_path, scene)


def test_a_process_that_cannot_start_ends_the_start_with_its_words(tmp_path: Path) -> None:
    pids: list[int] = []

    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        lines = [line async for line in supervisor.progress()]
        pids.extend(int(line.split("process ")[1].rstrip(")")) for line in lines if "process " in line)
        await until(lambda: supervisor.failure is not None)

    words = "w1 exited with code 3 while starting:\n    the dummy cannot start"
    with pytest.raises(ClusterError, match=words) as e:
        play(tmp_path, scene, w1={"exit": 3})
    assert "logs/w1.log" in e.value.remedy
    assert not any(map(is_running, pids))


def test_a_deaf_process_is_killed_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.cluster.supervisor.STOP_TIMEOUT", 0.2)
    pids: dict[str, int] = {}

    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        pids.update(await ready(supervisor))

    play(tmp_path, scene, m1={"deaf": True})
    assert not any(map(is_running, pids.values()))


def test_children_do_not_outlive_a_killed_starter(tmp_path: Path) -> None:
    async def scene(supervisor: Supervisor, layout: Layout) -> None:
        pids = await ready(supervisor)
        supervisor._launcher._process.kill()
        await until(lambda: not any(map(is_running, pids.values())))

    with pytest.raises(ClusterError, match="process starter has ended"):
        play(tmp_path, scene)
