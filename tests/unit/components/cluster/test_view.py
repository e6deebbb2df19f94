"""The status view: every figure on a wide terminal, nothing cut on a narrow one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from components.cluster.status import ClusterStatus, MemberStatus, NodeStatus, ProcessStatus, SupervisorStatus
from components.cluster.view import render

MEMBER = MemberStatus(
    name="m1",
    member_id="8e9e05c52164694d",
    leader=True,
    leader_name="m1",
    term=12,
    applied_index=123456,
    revision=98765,
    db_size=5 << 20,
    ready=True,
    stalls=3,
    memory=73 << 20,
)
STATUS = ClusterStatus(
    name="ha",
    directory="/home/user/.kuberaft/ha",
    kubeconfig="/home/user/.kuberaft/ha/kubeconfig",
    server="https://127.0.0.1:16443",
    slot=0,
    ready=True,
    leader="m1",
    supervisor=SupervisorStatus(pid=100, uptime=100.0),
    processes=[
        ProcessStatus(name="m1", kind="master", state="ready", exit="", pid=123456, uptime=100.0),
        ProcessStatus(name="m2", kind="master", state="", exit="ended by SIGKILL", pid=None, uptime=None),
        ProcessStatus(name="w1", kind="worker", state="ready", exit="", pid=123457, uptime=100.0),
    ],
    members=[MEMBER],
    nodes=[NodeStatus(name="w1", ready="True", heartbeat=0.0, address="127.84.250.1")],
    connections={"m1": 14},
)


def shown(width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(render(STATUS, width))
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 119, 120, 160])
def test_nothing_is_cut(width: int) -> None:
    text = shown(width)
    assert "…" not in text
    for word in ("leader", "ended by SIGKILL", "123456", "73.0M", "Ready", "127.84.250.1"):
        assert word in text, word


def test_a_wide_terminal_shows_every_figure() -> None:
    for word in ("TERM", "REVISION", "98765", "STALLS", "CONNS", "14"):
        assert word in shown(160), word
