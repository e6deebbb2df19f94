"""The process state machine: every event in every state."""

from __future__ import annotations

import itertools
import signal

import pytest

from components.cluster.errors import ClusterError
from components.cluster.processes import IllegalMove, Process, ProcessTable, State
from components.cluster.status import NodeStatus, all_ready, node_is_ready

ALLOWED = {
    ("stopped", "started"): "starting",
    ("starting", "became_ready"): "ready",
    ("ready", "lost"): "starting",
    ("starting", "ended"): "stopped",
    ("ready", "ended"): "stopped",
}
STATES: list[State] = ["stopped", "starting", "ready"]
EVENTS = ["started", "became_ready", "lost", "ended"]


def fire(process: Process, event: str) -> None:
    arguments = {"started": (42, 100.0), "ended": (-9,)}.get(event, ())
    getattr(process, event)(*arguments)


@pytest.mark.parametrize(("state", "event"), [*itertools.product(STATES, EVENTS)])
def test_every_event_in_every_state(state: State, event: str) -> None:
    process = Process("m1", "master", state, pid=None if state == "stopped" else 7)
    before = (process.state, process.pid, process.exit)
    if (state, event) in ALLOWED:
        fire(process, event)
        assert process.state == ALLOWED[state, event]
        assert (process.pid is None) == (process.state == "stopped")
    else:
        with pytest.raises(IllegalMove):
            fire(process, event)
        assert (process.state, process.pid, process.exit) == before


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-signal.SIGKILL, "killed by SIGKILL"),
    ],
)
def test_how_it_ended_in_words(status: int, text: str) -> None:
    process = Process("m1", "master", "ready", pid=7)
    process.ended(status)
    assert process.describe_exit() == text


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ClusterError, match="no process 'w9'") as raised:
        ProcessTable(["m1"], ["w1"]).get("w9")
    assert raised.value.remedy == "the processes are m1, w1"


def node(ready: str, heartbeat: float) -> NodeStatus:
    return NodeStatus("w1", ready, heartbeat, "127.64.250.1")


@pytest.mark.parametrize(
    ("nodes", "ready"),
    [
        ([], False),
        ([node("True", 100)], True),
        ([node("True", 99)], False),  # the state of an earlier run, still in the store
        ([node("Unknown", 101)], False),
    ],
)
def test_a_worker_is_ready_once_its_node_has_said_so_since_then(nodes: list[NodeStatus], ready: bool) -> None:
    process = Process("w1", "worker")
    process.started(1, 100.7)
    assert node_is_ready(process, nodes) is ready


def test_a_cluster_is_ready_when_everything_is() -> None:
    table = ProcessTable(["m1"], ["w1"])
    for process in table.all():
        process.started(1, 0)
    assert not all_ready(table.all())
    for process in table.all():
        process.became_ready()
    assert all_ready(table.all())
    table.get("m1").ended(1)
    assert not all_ready(table.all())
