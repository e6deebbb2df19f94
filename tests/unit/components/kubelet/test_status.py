"""Pod phase, conditions and container states as Kubernetes reports them."""

from __future__ import annotations

from typing import Any

import pytest

from components.kubelet.pods.status import View, build
from tests.unit.components.kubelet.builders import pod, status


def view(spec: dict[str, Any], *statuses: Any, **overrides: Any) -> View:
    history: dict[str, list[Any]] = {}
    for entry in sorted(statuses, key=lambda s: -s.attempt):
        history.setdefault(entry.name, []).append(entry)
    ids = {entry.id: entry.state == "RUNNING" for entry in statuses}
    fields: dict[str, Any] = {
        "waiting": {},
        "ready": ids,
        "started": ids,
        "messages": {},
        "sandbox_ready": True,
        "initialized": True,
        "pod_ip": "127.64.1.2",
        "host_ip": "127.64.250.1",
        "now": "2026-01-01T00:00:00Z",
        **overrides,
    }
    return View(pod=spec, history=history, **fields)


@pytest.mark.parametrize(
    ("policy", "codes", "terminal", "phase"),
    [
        ("Always", [None], False, "Running"),
        ("Always", [0], False, "Running"),
        ("Never", [0], False, "Succeeded"),
        ("Never", [0, 1], False, "Failed"),
        ("OnFailure", [0, 0], False, "Succeeded"),
        ("OnFailure", [1], False, "Running"),
        ("Always", [143], True, "Failed"),
        ("Always", [0], True, "Succeeded"),
    ],
)
def test_phase(policy: str, codes: list[int | None], terminal: bool, phase: str) -> None:
    names = [f"c{index}" for index in range(len(codes))]
    statuses = [
        status(name, "RUNNING") if code is None else status(name, "EXITED", code=code)
        for name, code in zip(names, codes, strict=True)
    ]
    result = build(view(pod(*names, restartPolicy=policy), *statuses, terminal=terminal))
    assert result["phase"] == phase


def test_a_running_pod_is_ready_with_all_its_addresses() -> None:
    result = build(view(pod("a"), status("a", "RUNNING")))
    assert {c["type"]: c["status"] for c in result["conditions"]} == dict.fromkeys(
        ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"], "True"
    )
    assert (result["podIP"], result["podIPs"]) == ("127.64.1.2", [{"ip": "127.64.1.2"}])
    entry = result["containerStatuses"][0]
    assert entry["state"] == {"running": {"startedAt": "1970-01-01T00:01:30Z"}}
    assert (entry["ready"], entry["started"], entry["restartCount"]) == (True, True, 0)


def test_crash_loop_shows_the_last_end_and_the_wait() -> None:
    waiting = {"a": ("CrashLoopBackOff", "back-off 10s …")}
    result = build(view(pod("a"), status("a", "EXITED", code=3, attempt=1), waiting=waiting))
    entry = result["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert (entry["restartCount"], result["phase"]) == (1, "Running")


def test_an_image_that_cannot_be_had_leaves_the_pod_pending() -> None:
    result = build(view(pod("a"), waiting={"a": ("ErrImagePull", "no")}, initialized=True))
    assert result["phase"] == "Pending"
    ready = next(c for c in result["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [a]"


def test_before_init_containers_are_done() -> None:
    spec = pod("a", inits=({"name": "i", "image": "host"},))
    result = build(view(spec, status("i", "RUNNING"), initialized=False))
    assert result["phase"] == "Pending"
    assert result["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = next(c for c in result["conditions"] if c["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [i]"


def test_transition_times_move_only_with_the_status() -> None:
    spec = pod("a")
    spec["status"] = build(view(spec, status("a", "RUNNING")))
    later = build(view(spec, status("a", "EXITED", code=1), now="2026-01-02T00:00:00Z"))
    times = {c["type"]: c["lastTransitionTime"] for c in later["conditions"]}
    assert times["Initialized"] == "2026-01-01T00:00:00Z"
    assert times["Ready"] == "2026-01-02T00:00:00Z"


def test_a_pod_past_its_deadline_is_failed_for_that_reason() -> None:
    result = build(
        view(pod("a"), status("a", "EXITED", code=143), terminal=True, failed=("DeadlineExceeded", "late"))
    )
    assert (result["phase"], result["reason"], result["message"]) == ("Failed", "DeadlineExceeded", "late")


@pytest.mark.parametrize(
    ("initialized", "states"),
    [(False, ["terminated", "waiting", "waiting"]), (True, ["terminated", "terminated", "terminated"])],
)
def test_what_had_no_turn_is_still_waiting_when_the_pod_has_ended(
    initialized: bool, states: list[str]
) -> None:
    spec = pod("app", restartPolicy="Never", initContainers=[{"name": "one"}, {"name": "two"}])
    codes = [("one", 0), ("two", 0)] if initialized else [("one", 7)]
    ran = [status(name, "EXITED", code=code) for name, code in codes]
    result = build(view(spec, *ran, terminal=True, initialized=initialized))
    shown = [*result["initContainerStatuses"], *result["containerStatuses"]]
    assert [next(iter(s["state"])) for s in shown] == states
    assert result["phase"] == "Failed"
