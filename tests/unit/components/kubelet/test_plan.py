"""What the pod worker decides to do, as a table of situations."""

from __future__ import annotations

from typing import Any

import pytest

from components.kubelet.pods.backoff import Backoff
from components.kubelet.pods.machine import IllegalTransition, Life, Phase
from components.kubelet.pods.plan import Facts, Plan, compute, latest_by_name
from tests.unit.components.kubelet.builders import pod, status


def plan(
    spec: dict[str, Any],
    *running: Any,
    sandbox: str | None = "s",
    failed: dict[str, str] | None = None,
    started: tuple[str, ...] = (),
    backoff: Backoff | None = None,
    now: float = 100.0,
) -> Plan:
    latest = latest_by_name(list(running))
    return compute(
        Facts(spec, sandbox, latest, failed or {}, lambda n: n in started, now), backoff or Backoff()
    )


def starts(result: Plan) -> list[tuple[str, int]]:
    return [(container["name"], attempt) for container, attempt in result.start]


def test_no_sandbox_means_sandbox_first() -> None:
    assert plan(pod("a"), sandbox=None).create_sandbox
    assert not plan(pod("a", restartPolicy="Never"), status("a", "EXITED"), sandbox=None).create_sandbox


def test_all_app_containers_start_together() -> None:
    assert starts(plan(pod("a", "b"))) == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("policy", "code", "restarted"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, code: int, restarted: bool) -> None:
    result = plan(pod("a", restartPolicy=policy), status("a", "EXITED", code=code, attempt=2))
    assert starts(result) == ([("a", 3)] if restarted else [])


def test_init_containers_run_one_after_the_other() -> None:
    inits = ({"name": "i", "image": "host"}, {"name": "j", "image": "host"})
    spec = pod("a", inits=inits)
    assert starts(plan(spec)) == [("i", 0)]
    assert starts(plan(spec, status("i", "RUNNING"))) == []
    assert starts(plan(spec, status("i", "EXITED"))) == [("j", 0)]
    done = plan(spec, status("i", "EXITED"), status("j", "EXITED"))
    assert starts(done) == [("a", 0)]
    assert done.initialized


def test_a_sidecar_lets_the_next_go_on_once_it_has_started() -> None:
    spec = pod("a", inits=({"name": "side", "image": "host", "restartPolicy": "Always"},))
    assert starts(plan(spec, status("side", "RUNNING"))) == []
    assert starts(plan(spec, status("side", "RUNNING"), started=("side",))) == [("a", 0)]
    again = plan(spec, status("side", "EXITED"), status("a", "RUNNING"))
    assert starts(again) == [("side", 1)]


def test_crash_loop_waits_with_the_real_message() -> None:
    backoff = Backoff()
    crashed = status("a", "EXITED", code=1)
    assert starts(plan(pod("a"), crashed, backoff=backoff)) == [("a", 1)]
    waiting = plan(pod("a"), status("a", "EXITED", code=1, attempt=1, at=103), backoff=backoff, now=105)
    assert starts(waiting) == []
    assert waiting.back_off == {"a": "back-off 10s restarting failed container=a pod=p_ns(u1)"}
    assert waiting.wake_after == 8


def test_failed_liveness_and_changed_image_replace_the_container() -> None:
    running = status("a", "RUNNING")
    result = plan(pod("a"), running, failed={"a-0": "liveness"})
    assert [why for _, why in result.kill] == ["Container a failed liveness probe, will be restarted"]
    changed = pod("a")
    changed["spec"]["containers"][0]["image"] = "host:v2"
    assert [why for _, why in plan(changed, running).kill] == [
        "Container a definition changed, will be restarted"
    ]


def test_a_lost_sandbox_runs_the_init_containers_again() -> None:
    spec = pod("a", inits=({"name": "i", "image": "host"},))
    old = (status("i", "EXITED", sandbox="old"), status("a", "EXITED", code=137, sandbox="old"))
    assert starts(plan(spec, *old)) == [("i", 1)]


def test_life_goes_one_way_and_only_gets_shorter() -> None:
    life = Life()
    with pytest.raises(IllegalTransition):
        life.finished()
    assert life.phase is Phase.SYNCING
    assert life.terminate(30, ("DeadlineExceeded", "late"))
    assert not life.terminate(60)
    assert life.terminate(5)
    life.finished()
    assert not life.terminate(0)
    assert (life.phase, life.grace, life.failed) == (Phase.TERMINATED, 5, ("DeadlineExceeded", "late"))
