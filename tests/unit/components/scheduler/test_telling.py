"""The record of a decision: who was filtered and why, how the others scored."""

from __future__ import annotations

import random
from typing import Any

from components.scheduler.algorithm import Rejected
from components.scheduler.framework import node_info_of
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo
from components.scheduler.profile import default_profile
from components.scheduler.telling import detail, summary

Object = dict[str, Any]


def node(name: str, cpu: str, **spec: Any) -> NodeInfo:
    status = {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "110"}}
    labels = {"kubernetes.io/hostname": name}
    return node_info_of({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})


def pod(cpu: str) -> PodInfo:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    return PodInfo({"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [container]}})


def algorithm() -> Any:
    return default_profile(lambda _: None, lambda _: {}, random.Random(1))[0]


def test_the_filtered_are_named_with_plugin_and_reason_and_the_others_with_their_points() -> None:
    chosen = algorithm()
    nodes = [
        node("small", "100m"),
        node("busy", "2"),
        node("large", "8"),
        node("closed", "8", unschedulable=True),
    ]
    decision = chosen.schedule(pod("1"), nodes)
    assert isinstance(decision, NodeInfo)
    told = detail(chosen.trace, "bound", decision.name, 1.23456)
    assert told["filtered"] == [
        {"node": "small", "plugin": "NodeResourcesFit", "reason": "Insufficient cpu"},
        {"node": "closed", "plugin": "NodeUnschedulable", "reason": "node(s) were unschedulable"},
    ]
    assert [score["node"] for score in told["scores"]] == ["large", "busy"]
    assert all(score["total"] == sum(score["plugins"].values()) for score in told["scores"])
    assert (told["node"], told["ms"], told["preempted"]) == ("large", 1.235, [])
    assert summary(chosen.trace, "default/p", "large") == (
        "default/p goes to large: the best score of 2 possible nodes (2 filtered out)"
    )


def test_one_possible_node_needs_no_score_and_many_filtered_are_counted() -> None:
    chosen = algorithm()
    nodes = [node("large", "8"), *(node(f"small{number}", "1m") for number in range(60))]
    assert isinstance(chosen.schedule(pod("1"), nodes), NodeInfo)
    told = detail(chosen.trace, "bound", "large", 0.0)
    assert (len(told["filtered"]), told["filteredMore"], told["scores"]) == (50, 10, [])
    assert "the only node that is possible" in summary(chosen.trace, "default/p", "large")
    assert isinstance(chosen.schedule(pod("100"), nodes), Rejected)
    assert detail(chosen.trace, "unschedulable", "", 0.0)["filteredMore"] == 11
