"""A rolling upgrade in virtual time: the order, the way back, and what is left when it fails or is interrupted."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.status import ClusterStatus, NodeStatus, ProcessStatus, SupervisorStatus
from components.drills import program
from components.drills.faults import upgrade
from components.drills.faults.field import Field, Inject
from components.drills.faults.processes import restart_each
from components.drills.faults.upgrade import upgrade_each
from components.drills.observed import Observed
from components.drills.program import Program, program_of
from components.drills.schedule import Planned
from components.drills.site import Site
from components.drills.spec import RestartEach, Step, UpgradeEach
from tests.support.virtual_time import run_virtual

NEW = "/new/python"
STARTS = 2.0
NOTICED, ENDS = 0.2, 1.2


@dataclass
class Fake:
    """A cluster whose processes end and start in time; `bad`: those that end at once as the new version."""

    bad: frozenset[str] = frozenset()
    programs: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys(("m1", "m2", "m3", "w1", "w2"), "")
    )
    told: dict[str, float] = field(default_factory=dict)
    ready_at: dict[str, float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    most_down: int = 0

    masters = {name: f"https://{name}" for name in ("m1", "m2", "m3")}
    workers = ["w1", "w2"]
    directory = Layout(Path("/nowhere"))

    async def supervisor(self, op: str, name: str, **more: Any) -> None:
        now = asyncio.get_running_loop().time()
        if op == "kill":
            assert more["signal"] == signal.SIGTERM
            assert self.state(name) != "stopped", "nobody is there to be told"
            self.told[name] = now
            return
        assert self.state(name) == "stopped", f"{name} still runs"
        self.told.pop(name, None)
        self.log.append(f"{name} {more['program']}".strip())
        self.programs[name] = more["program"]
        if name in self.bad and more["program"]:
            self.told[name] = now - ENDS
        self.ready_at[name] = now + STARTS

    async def status(self) -> ClusterStatus:
        states = {name: self.state(name) for name in self.programs}
        self.most_down = max(self.most_down, sum(state != "ready" for state in states.values()))
        processes = [
            ProcessStatus(name, "master", state, 1, 1.0, "", self.programs[name])
            for name, state in states.items()
        ]
        nodes = [NodeStatus(name, "True", time.time() + 5, "") for name in self.workers]
        supervisor = SupervisorStatus(1, 1.0)
        return ClusterStatus("c", "", "", "", 0, True, "m2", supervisor, processes, [], nodes, {})

    def state(self, name: str) -> str:
        """One that was told to end seems to be ready for a moment, then drains, then has ended."""
        now = asyncio.get_running_loop().time()
        if now < self.ready_at.get(name, 0.0) and name not in self.told:
            return "starting"
        since = now - self.told.get(name, now)
        return "stopped" if since >= ENDS else "starting" if since > NOTICED else "ready"

    def version(self, name: str) -> str:
        return "v2" if self.programs[name] else "v1"

    @asynccontextmanager
    async def client(self, master: str = "", timeout: float = 0.0) -> Any:
        yield Client(self, master)


@dataclass
class Client:
    fake: Fake
    master: str

    async def raw(self, method: str, path: str) -> tuple[int, bytes]:
        return 200, msgspec.json.encode({"gitVersion": self.fake.version(self.master)})

    async def get(self, kind: Any, name: str) -> Any:
        return {"status": {"nodeInfo": {"kubeletVersion": self.fake.version(name)}}}


@pytest.fixture(autouse=True)
def known_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(to: str) -> Program:
        return Program(to, f"kuberaft by {to}")

    monkeypatch.setattr(upgrade, "program_of", known)


def perform(
    fake: Fake,
    inject: Inject = upgrade_each,
    step: Step | None = None,
    *,
    interrupt_after: float | None = None,
    **shape: Any,
) -> Observed:
    seen = Observed()
    site = cast(Site, fake)
    steps = Field(site, cast(Any, None), seen, random.Random(1), lambda text, step: None)
    planned = Planned(0, step or UpgradeEach(at="0s", to=NEW, **shape), 0.0, 0.5, 1)

    async def scene() -> None:
        async with asyncio.timeout(interrupt_after), AsyncExitStack() as undo:
            await inject(steps, planned, undo)

    run_virtual(scene())
    return seen


def test_masters_before_workers_one_at_a_time_and_back_in_the_other_order() -> None:
    fake = Fake()
    seen = perform(fake)
    there = [f"{name} {NEW}" for name in ("m1", "m2", "m3", "w1", "w2")]
    assert fake.log == [*there, "w2", "w1", "m3", "m2", "m1"]
    assert fake.most_down == 1
    assert [(one.name, one.before, one.after) for one in seen.upgraded] == [
        (name, "v1", "v2") for name in ("m1", "m2", "m3", "w1", "w2")
    ]


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ({"workers": False}, ["m1", "m2", "m3"]),
        ({"only": ["w1", "leader"]}, ["w1", "m2"]),
        ({"only": ["m3", "m3"]}, ["m3"]),
    ],
)
def test_which_are_upgraded(shape: dict[str, Any], names: list[str]) -> None:
    assert [one.name for one in perform(Fake(), **shape).upgraded] == names


def test_a_version_that_does_not_come_up_ends_the_upgrade_and_everything_is_as_before() -> None:
    fake = Fake(bad=frozenset({"m2"}))
    with pytest.raises(ClusterError, match="m2, started by /new/python"):
        perform(fake)
    assert set(fake.programs.values()) == {""}
    assert not fake.told, "all run, and nobody is about to end"
    assert fake.most_down == 1


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 1.3, 3.0, 3.8, 6.1, 11.0, 17.0])
def test_an_interrupted_upgrade_is_undone(seconds: float) -> None:
    fake = Fake()
    with pytest.raises(TimeoutError):
        perform(fake, interrupt_after=seconds)
    assert set(fake.programs.values()) == {""}
    assert not fake.told, "all run, and nobody is about to end"
    assert fake.most_down <= 1


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.5, 1.3, 2.0, 3.8, 5.0])
def test_an_interrupted_rolling_restart_leaves_everybody_running(seconds: float) -> None:
    fake = Fake()
    with pytest.raises(TimeoutError):
        perform(fake, restart_each, RestartEach(at="0s"), interrupt_after=seconds)
    assert not fake.told, "all run, and nobody is about to end"


def test_the_program_of_the_drill_itself_says_so() -> None:
    found = asyncio.run(program_of(""))
    assert found.path == sys.executable
    assert "this same program" in found.text


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "cannot be run"),
        ("#!/bin/sh\necho no module >&2; exit 1\n", "is no Python with kuberaft: no module"),
        ("#!/bin/sh\nexec sleep 60\n", "does not answer"),
    ],
)
def test_what_cannot_be_upgraded_to(
    script: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ASK_SECONDS", 0.3 if said == "does not answer" else 20.0)
    python = tmp_path / "python"
    if script is not None:
        python.write_text(script)
        python.chmod(0o755)
    with pytest.raises(ClusterError, match=said):
        asyncio.run(program_of(str(python)))
