"""The kubelet's steps as records."""

from __future__ import annotations

from datetime import UTC, datetime

from apiserver.api.journal import Journal, ObjectRef, Query, Record
from components.kubelet.pods.steps import Steps
from components.kubelet.runtime.interface import ContainerStatus

POD = {"metadata": {"name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "42"}}


def status(pid: int = 0, exit_code: int = 0) -> ContainerStatus:
    return ContainerStatus("id", "s", "c", 0, "RUNNING", "i", "", "", 0.0, pid=pid, exit_code=exit_code)


def told(steps: Steps) -> list[Record]:
    return steps.journal.records(Query())


def test_events_are_steps_and_a_start_names_its_process() -> None:
    steps = Steps(Journal("w1", lambda: datetime(2026, 1, 1, tzinfo=UTC)))
    steps.event(POD, "c", "Pulled", "already present")
    steps.event(POD, "c", "Started", "Container started")
    steps.started(POD, "c", 0, status(pid=77), [])
    steps.started(POD, "c", 2, status(pid=78), [status(exit_code=3)])
    steps.status_sent(POD, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    pulled, first, again, sent = told(steps)
    assert pulled.object == ObjectRef("pods", "", "default", "web", "u1")
    assert (pulled.source, pulled.instance, pulled.revision) == ("kubelet", "w1", 42)
    assert (pulled.detail["step"], pulled.summary) == ("pull", "container c: already present")
    assert (first.detail["step"], first.detail["pid"]) == ("start", 77)
    assert (again.detail["step"], again.detail["pid"], again.detail["exitCode"]) == ("restart", 78, 3)
    assert again.summary == "restarted container c as process 78, time 2 after exit code 3"
    assert sent.summary == "reported phase Running, Ready True"
