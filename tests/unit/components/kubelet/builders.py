"""Pods and container statuses for the tests of the kubelet's pure parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from components.kubelet.pods.plan import container_hash
from components.kubelet.runtime.interface import ContainerStatus


def pod(*names: str, inits: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    containers = [{"name": name, "image": "host"} for name in names or ("c",)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": containers, "initContainers": list(inits), **spec},
    }


def status(
    name: str, state: str, *, code: int = 0, attempt: int = 0, sandbox: str = "s", at: float = 100.0
) -> Any:
    return ContainerStatus(
        id=f"{name}-{attempt}",
        sandbox_id=sandbox,
        name=name,
        attempt=attempt,
        state=state,  # type: ignore[arg-type]
        image="host",
        image_ref="sha256:0",
        log_path="",
        created_at=at - 10,
        started_at=at - 10,
        finished_at=at if state == "EXITED" else 0.0,
        exit_code=code,
        reason="" if state != "EXITED" else ("Error" if code else "Completed"),
        annotations={"hash": container_hash({"name": name, "image": "host"})},
    )


async def eventually(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait for something real processes do, which no event of this process announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # nothing to wait for but the state itself
            await asyncio.sleep(0.01)
