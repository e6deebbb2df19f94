"""The parts of the pytest plugin that need no cluster: what may be asked for, conditions, faults, missing clients."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from apiserver.faults import rule
from components.cluster.topology import Topology, Workers, WorkerSpec
from components.testing import clients, plugin
from components.testing.conditions import Check, explain
from components.testing.faults import fault
from components.testing.handle import namespace_for
from components.testing.portal import Portal
from components.testing.spec import BadRequest, ClusterSpec


def test_a_marker_stands_over_the_options() -> None:
    spec = ClusterSpec(1, 2)
    assert spec.marked({"masters": 3, "faults": []}) == ClusterSpec(3, 2)
    assert spec.marked({}) == spec


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"nodes": 3}, "there is no 'nodes': it takes masters, workers, faults"),
        ({"masters": 2}, "masters=2: an odd number is expected"),
        ({"masters": "3"}, "masters='3': a number from 1 on"),
        ({"workers": -1}, "workers=-1: a number from 0 on"),
    ],
)
def test_a_marker_that_cannot_be_used_is_refused(words: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        ClusterSpec().marked(words)


def test_the_topology_is_the_files_with_what_is_asked_for_over_it() -> None:
    base = Topology(workers=Workers(count=2, overrides={"w1": WorkerSpec(cpu=1), "w2": WorkerSpec(cpu=2)}))
    made = ClusterSpec(3, 1).over(base)
    assert (made.masters.count, made.masters.api_port, made.masters.fault_injection) == (3, 0, True)
    assert (made.workers.count, list(made.workers.overrides), made.store.fsync) == (1, ["w1"], True)
    assert not ClusterSpec().over(None).store.fsync


class Config:
    """Of a test run: options over the settings of a file."""

    rootpath = Path("/project")

    def __init__(self, ini: dict[str, str], options: dict[str, str]) -> None:
        self._ini, self._options = ini, options

    def getini(self, name: str) -> str:
        return {"kuberaft_masters": "1", "kuberaft_workers": "0", "kuberaft_topology": "", **self._ini}[name]

    def getoption(self, name: str) -> str | None:
        return self._options.get(name)


def test_options_stand_over_settings() -> None:
    config = Config({"kuberaft_masters": "3", "kuberaft_topology": "t.yaml"}, {"kuberaft_workers": "2"})
    assert plugin._spec(config) == ClusterSpec(3, 2, "/project/t.yaml")  # type: ignore[arg-type]
    for options, text in (
        ({"kuberaft_workers": "many"}, "kuberaft_workers='many': a number is expected"),
        ({"kuberaft_masters": "2"}, "masters=2: an odd number is expected"),
    ):
        with pytest.raises(pytest.fail.Exception, match=text):
            plugin._spec(Config({}, options))  # type: ignore[arg-type]


READY: dict[str, Any] = {
    "metadata": {"name": "a"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Busy", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("condition", "obj", "holds"),
    [
        ("exists", READY, True),
        ("exists", None, False),
        ("deleted", None, True),
        ("deleted", READY, False),
        ("Ready", READY, True),
        ("Busy", READY, False),
        ("Busy=False", READY, True),
        ("Ready", {"metadata": {}}, False),
        (lambda o: o["metadata"]["name"] == "a", READY, True),
        (lambda o: o["status"]["replicas"] == 1, READY, False),
        (lambda o: True, None, False),
    ],
)
def test_conditions(condition: Any, obj: Any, holds: bool) -> None:
    assert Check(condition)(obj) is holds


def test_a_failure_shows_the_last_state_the_events_and_why_the_condition_failed() -> None:
    def has_replicas(obj: Any) -> bool:
        return bool(obj["status"]["replicas"])

    check = Check(has_replicas)
    check(READY)
    events = [{"type": "Warning", "reason": "Failed", "message": "no", "count": 3}]
    text = explain("pods x/a", check, 5, READY, events, "refused")
    assert text.startswith("pods x/a: not within 5 s: has_replicas\nthe condition failed with KeyError: 'rep")
    assert "type: Ready" in text
    assert text.endswith("events:\n  Warning Failed (x3): no")
    assert "the last request failed: refused" in text
    assert "there is no such object\nno events" in explain("pods a", Check("exists"), 5, None, [], "")


@pytest.mark.parametrize(
    ("made", "action", "match"),
    [
        (
            fault("429", verbs=("create",), first=2),
            "error code=429",
            {"users": ["kuberaft-admin"], "verbs": ["create"]},
        ),
        (fault("watchStop", after_events=2, users=["*"]), "watchStop afterEvents=2", {"users": ["*"]}),
        (
            fault("drop", after_effect=True, api_groups=["apps"], users=[]),
            "drop afterEffect=True",
            {"apiGroups": ["apps"]},
        ),
    ],
)
def test_faults_as_tests_write_them(made: Any, action: str, match: dict[str, Any]) -> None:
    read = rule.read(made)
    assert rule.describe(read.spec.action) == action
    assert rule.write(read)["spec"].get("match") == match


@pytest.mark.parametrize("name", ["kubernetes", "kr8s", "lightkube"])
def test_a_client_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for module in [*sys.modules]:
        if module.partition(".")[0] == name:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    ask = {"kubernetes": clients.official}.get(name) or getattr(clients, name)
    arguments = (tmp_path,) if name == "kubernetes" else (tmp_path, "default")
    with pytest.raises(clients.ClientMissing, match=f"pip install {name}"):
        ask(*arguments)


def test_names_of_namespaces() -> None:
    assert namespace_for("test_it[a/B-1]", 7) == "test-it-a-b-1-7"
    assert namespace_for("___", 1) == "test-1"
    assert len(namespace_for("x" * 99, 12345)) <= 63


def test_a_portal_runs_and_ends() -> None:
    portal = Portal()

    async def answer() -> int:
        return 42

    assert portal.call(answer()) == 42
    assert asyncio.run(portal.awaited(answer())) == 42
    left = portal.start(asyncio.sleep(3600))
    portal.close()
    assert left.cancelled()
