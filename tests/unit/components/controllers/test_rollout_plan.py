"""Rollout sizes: worked examples, and the two promises that hold in every reachable state."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.controllers.deployment import scaling
from components.controllers.deployment.replicasets import max_surge, max_unavailable
from components.controllers.deployment.templates import same_template, template_hash


def make_deployment(replicas: int, surge: Any = 1, unavailable: Any = 0) -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"metadata": {"name": "d"}, "spec": {"replicas": replicas, "strategy": strategy}}


def make_set(name: str, size: int, available: int = 0, *, maximum: int | None = None, age: int = 0) -> Any:
    annotations = {} if maximum is None else {"deployment.kubernetes.io/max-replicas": str(maximum)}
    created = f"2026-01-01T00:00:{59 - age:02d}Z"
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"replicas": size},
        "status": {"replicas": size, "availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, 0, 0, (0, 1)),  # both 0: one must be allowed
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 1, 5, (1, 3)),  # never more than there are
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_fenceposts(replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]) -> None:
    deployment = make_deployment(replicas, surge, unavailable)
    assert (max_surge(deployment), max_unavailable(deployment)) == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "new", "old", "expected"),
    [
        (10, 0, 0, 10, {}),  # no room
        (10, 2, 0, 10, {"new": 2}),
        (10, 2, 5, 5, {"new": 7}),
        (10, 0, 10, 0, {}),
        (10, 0, 20, 0, {"new": 10}),
        (10, 5, 8, 0, {"new": 10}),  # not beyond what is wanted
    ],
)
def test_growing_the_new_one(replicas: int, surge: int, new: int, old: int, expected: dict[str, int]) -> None:
    sets = make_set("new", new), [make_set("old", old)]
    assert scaling.grow_new(make_deployment(replicas, surge, 1), *sets) == expected


@pytest.mark.parametrize(
    ("replicas", "unavailable", "new", "old", "expected"),
    [
        (10, 0, (0, 0), (10, 10), {}),
        (10, 2, (0, 0), (10, 10), {"old": 8}),
        (10, 2, (0, 0), (10, 9), {"old": 8}),  # the unhealthy one first, then one more
        (10, 2, (0, 0), (10, 8), {"old": 8}),
        (10, 2, (5, 0), (8, 8), {}),  # new pods are not there yet
        (10, 2, (5, 5), (8, 8), {"old": 3}),
        (10, 0, (10, 10), (1, 0), {"old": 0}),
    ],
)
def test_shrinking_the_old_one(
    replicas: int,
    unavailable: int,
    new: tuple[int, int],
    old: tuple[int, int],
    expected: dict[str, int],
) -> None:
    deployment = make_deployment(replicas, 3, unavailable)
    assert scaling.shrink_old(deployment, make_set("new", *new), [make_set("old", *old)]) == expected


def test_scaling_in_a_rollout_keeps_the_proportions() -> None:
    deployment = make_deployment(20, 0, 1)
    new, old = make_set("new", 5, maximum=10), make_set("old", 5, maximum=10, age=1)
    assert scaling.rescale(deployment, new, [old]) == {"new": 10, "old": 10}
    shrunk = make_deployment(4, 0, 1)
    assert sum(scaling.rescale(shrunk, new, [old]).values()) == 4


@st.composite
def rollouts(draw: st.DrawFn) -> tuple[Any, Any, list[Any]]:
    deployment = make_deployment(
        draw(st.integers(0, 20)), draw(st.integers(0, 5)), draw(st.sampled_from([0, 1, 3, "25%", "100%"]))
    )
    sizes = draw(st.lists(st.integers(0, 20), min_size=2, max_size=4))
    sets = [make_set(f"s{i}", n, draw(st.integers(0, n)), age=i) for i, n in enumerate(sizes)]
    return deployment, sets[0], sets[1:]


@given(rollouts())
def test_a_step_keeps_enough_available_and_adds_no_more_than_the_surge(
    case: tuple[Any, Any, list[Any]],
) -> None:
    deployment, new, old = case
    everything = [new, *old]
    wanted = deployment["spec"]["replicas"]
    before = sum(rs["spec"]["replicas"] for rs in everything)
    ready = sum(rs["status"]["availableReplicas"] for rs in everything)
    grown = scaling.grow_new(deployment, new, old)
    if grown.get("s0", 0) > new["spec"]["replicas"]:
        after = before + grown["s0"] - new["spec"]["replicas"]
        assert after <= wanted + max_surge(deployment)
    shrunk = scaling.shrink_old(deployment, new, old)
    lost = sum(_worst_loss(rs, shrunk) for rs in old)
    assert all(shrunk[rs["metadata"]["name"]] >= 0 for rs in old if rs["metadata"]["name"] in shrunk)
    if lost:
        assert ready - lost >= wanted - max_unavailable(deployment)


def _worst_loss(rs: Any, sizes: dict[str, int]) -> int:
    """Available pods that go when a set shrinks: ReplicaSets delete pods that are not ready first."""
    size = sizes.get(rs["metadata"]["name"], rs["spec"]["replicas"])
    return max(rs["status"]["availableReplicas"] - size, 0)


def test_templates_are_compared_by_meaning() -> None:
    def template(cpu: str, **labels: str) -> dict[str, Any]:
        container = {"name": "c", "resources": {"limits": {"cpu": cpu}}, "env": []}
        return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}

    assert same_template(template("1", a="b"), template("1000m", a="b", **{"pod-template-hash": "x"}))
    assert not same_template(template("1", a="b"), template("2", a="b"))
    assert template_hash(template("1"), None) == template_hash(template("1"), 0)
    assert template_hash(template("1"), None) != template_hash(template("1"), 1)
