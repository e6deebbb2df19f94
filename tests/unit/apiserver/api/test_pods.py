"""Requests and QoS class of pods."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.pods import compute_pod_qos, is_pod_active, is_pod_ready, pod_requests


def _container(
    requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **more: Any
) -> Any:
    return {"resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def _pod(*containers: Any, init: list[Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), "initContainers": init or [], **spec}}


def _texts(pod: dict[str, Any]) -> dict[str, str]:
    return {name: str(amount) for name, amount in pod_requests(pod).items()}


def test_requests_add_up_and_init_containers_raise_them() -> None:
    pod = _pod(_container({"cpu": "100m"}), _container({"cpu": "200m"}), init=[_container({"cpu": "1"})])
    assert _texts(pod) == {"cpu": "1"}


def test_sidecars_count_for_both_phases() -> None:
    sidecar = _container({"cpu": "100m"}, restartPolicy="Always")
    pod = _pod(_container({"cpu": "200m"}), init=[sidecar, _container({"cpu": "250m"})])
    assert _texts(pod) == {"cpu": "350m"}


def test_overhead_is_added() -> None:
    assert _texts(_pod(_container({"cpu": "1"}), overhead={"cpu": "250m"})) == {"cpu": "1250m"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([_container()], "BestEffort"),
        ([_container({"cpu": "1"})], "Burstable"),
        ([_container({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"})], "Guaranteed"),
        (
            [_container({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}), _container()],
            "Burstable",
        ),
    ],
)
def test_qos(containers: list[Any], expected: str) -> None:
    assert compute_pod_qos(_pod(*containers)) == expected


def test_states() -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert is_pod_ready(ready)
    assert is_pod_active(ready)
    assert not is_pod_active({"status": {"phase": "Succeeded"}})
    assert not is_pod_active({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}})
