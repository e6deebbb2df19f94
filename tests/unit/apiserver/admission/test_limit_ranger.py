"""Defaults and bounds of a LimitRange."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.limit_checks import claim_violations, pod_violations
from apiserver.admission.limit_ranger import ANNOTATION, apply_defaults
from apiserver.api.meta import Object


def limit_range(*items: Object) -> Object:
    return {"metadata": {"name": "l"}, "spec": {"limits": list(items)}}


def pod(*resources: Object, init: Object | None = None) -> Object:
    spec: Object = {"containers": [{"name": f"c{n}", "resources": r} for n, r in enumerate(resources)]}
    if init is not None:
        spec["initContainers"] = [{"name": "i", "resources": init}]
    return {"metadata": {"name": "p"}, "spec": spec}


DEFAULTS = limit_range(
    {
        "type": "Container",
        "default": {"cpu": "1", "memory": "2Gi"},
        "defaultRequest": {"cpu": "500m", "memory": "1Gi"},
    }
)


def test_defaults_fill_what_is_missing_and_are_noted() -> None:
    given = {"limits": {"memory": "3Gi"}, "requests": {"cpu": "1", "memory": "1"}}
    one = pod(given, {}, init={})
    apply_defaults(one, DEFAULTS)
    first, second = one["spec"]["containers"]
    assert first["resources"] == {"limits": {"memory": "3Gi", "cpu": "1"}, "requests": given["requests"]}
    assert second["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    }
    assert one["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: cpu limit for container c0; cpu, memory request for container c1; "
        "cpu, memory limit for container c1; cpu, memory request for init container i; "
        "cpu, memory limit for init container i"
    )


def test_complete_pod_is_left_alone() -> None:
    full = {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}
    one = pod(full)
    apply_defaults(one, DEFAULTS)
    assert "annotations" not in one["metadata"]


@pytest.mark.parametrize(
    ("item", "resources", "messages"),
    [
        (
            {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1", "memory": "1Gi"}},
            {"requests": {"cpu": "50m"}, "limits": {"cpu": "2", "memory": "2Gi"}},
            [
                "minimum cpu usage per Container is 100m, but request is 50m",
                "maximum cpu usage per Container is 1, but limit is 2",
                "maximum memory usage per Container is 1Gi, but limit is 2Gi",
            ],
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}},
            {"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}},
            ["cpu max limit to request ratio per Container is 4, but provided ratio is 40.000000"],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            {"limits": {"cpu": "1200m"}},
            ["maximum cpu usage per Pod is 1, but limit is 1200m"],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            {},
            ["maximum cpu usage per Pod is 1.  No limit is specified"],
        ),
        (
            {"type": "Container", "min": {"cpu": "1"}},
            {},
            ["minimum cpu usage per Container is 1.  No request is specified"],
        ),
        ({"type": "Container", "max": {"cpu": "1"}}, {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, []),
    ],
)
def test_pod_bounds(item: Object, resources: Any, messages: list[str]) -> None:
    assert pod_violations(pod(resources), limit_range(item)) == messages


def test_pod_total_is_the_sum_of_containers() -> None:
    half = {"limits": {"cpu": "600m"}, "requests": {"cpu": "600m"}}
    found = pod_violations(pod(half, half), limit_range({"type": "Pod", "max": {"cpu": "1"}}))
    assert found == ["maximum cpu usage per Pod is 1, but limit is 1200m"]


@pytest.mark.parametrize(
    ("storage", "messages"),
    [
        ("3Gi", ["maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"]),
        ("100Mi", ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 100Mi"]),
        ("1Gi", []),
    ],
)
def test_claim_bounds(storage: str, messages: list[str]) -> None:
    item = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    claim = {"spec": {"resources": {"requests": {"storage": storage}}}}
    assert claim_violations(claim, limit_range(item)) == messages
