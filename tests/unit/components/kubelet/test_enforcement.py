"""What the process runtime cannot enforce is told, field by field, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from components.kubelet.pods.enforcement import unenforced

Object = dict[str, Any]


def spec(container: Object | None = None, **fields: Any) -> Object:
    return {"spec": {"containers": [{"name": "main", **(container or {})}], **fields}}


@pytest.mark.parametrize(
    "pod",
    [
        spec(),
        spec({"resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}),
        spec({"securityContext": {"runAsUser": 1, "seccompProfile": {"type": "Unconfined"}}}),
        spec(volumes=[{"name": "data", "emptyDir": {}}], securityContext={}),
        spec({"ports": [{"containerPort": 80, "hostPort": 80}]}, hostNetwork=True),
        spec({"volumeMounts": [{"name": "data", "mountPath": "/d", "mountPropagation": "None"}]}),
    ],
)
def test_what_is_honoured_is_not_mentioned(pod: Object) -> None:
    assert unenforced(pod) == ""


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (spec({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}), "resources.limits.cpu (main)"),
        (
            spec({"securityContext": {"capabilities": {"drop": ["ALL"]}}}),
            "securityContext.capabilities (main)",
        ),
        (
            spec({"securityContext": {"allowPrivilegeEscalation": False}}),
            "securityContext.allowPrivilegeEscalation (main)",
        ),
        (
            spec(securityContext={"seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 0}),
            "securityContext.fsGroup, securityContext.seccompProfile",
        ),
        (
            spec(volumes=[{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]),
            "emptyDir.medium of volume tmp, emptyDir.sizeLimit of volume tmp",
        ),
        (spec({"ports": [{"containerPort": 80, "hostPort": 90}]}), "hostPort 90 (main)"),
        (spec(hostPID=True, shareProcessNamespace=False), "hostPID"),
        (
            spec({"tty": True, "lifecycle": {"stopSignal": "SIGINT"}}),
            "tty (main), lifecycle.stopSignal (main)",
        ),
        (
            spec(
                {"resources": {"limits": {"cpu": "1"}}},
                initContainers=[{"name": "first", "resources": {"limits": {"cpu": "1"}}}],
            ),
            "resources.limits.cpu (first, main)",
        ),
    ],
)
def test_what_is_not_enforced_is_named(pod: Object, text: str) -> None:
    assert unenforced(pod) == text
