"""An operator as its authors write them: `test_kopf` runs it and looks at what it leaves on the objects."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf

LABELS = {"kopf": "yes"}


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.watching.server_timeout = 60
    settings.networking.error_backoffs = [0.1, 0.2, 0.5, 1.0]


@kopf.on.resume("configmaps", labels=LABELS)
async def resumed(patch: kopf.Patch, **_: Any) -> None:
    patch.meta.annotations["resumed"] = "yes"


@kopf.on.create("configmaps", labels=LABELS)
async def created(patch: kopf.Patch, retry: int, **_: Any) -> None:
    if retry == 0:
        raise kopf.TemporaryError("once more", delay=0.1)
    patch.meta.annotations["created"] = str(retry)


@kopf.on.update("configmaps", labels=LABELS, field="data.a")
async def updated(old: Any, new: Any, patch: kopf.Patch, body: kopf.Body, **_: Any) -> None:
    patch.meta.annotations["updated"] = f"{old} to {new}"
    kopf.info(body, reason="Updated", message="seen by the operator")


@kopf.on.delete("configmaps", labels=LABELS)
async def deleted(body: kopf.Body, **_: Any) -> None:
    kopf.info(body, reason="Deleted", message="seen by the operator")


@kopf.timer("configmaps", interval=0.2, labels=LABELS)
async def tick(annotations: kopf.Annotations, patch: kopf.Patch, **_: Any) -> None:
    if (ticks := int(annotations.get("ticks", "0"))) < 3:
        patch.meta.annotations["ticks"] = str(ticks + 1)


@kopf.daemon("configmaps", labels=LABELS, cancellation_timeout=1.0)
async def watchful(stopped: kopf.DaemonStopped, patch: kopf.Patch, **_: Any) -> None:
    patch.meta.annotations["daemon"] = "came and went"
    await asyncio.sleep(0)


@kopf.on.event("deployments")
async def observed(
    event: kopf.RawEvent, spec: kopf.Spec, status: kopf.Status, patch: kopf.Patch, **_: Any
) -> None:
    if event["type"] != "DELETED" and status.get("replicas") != spec["replicas"]:
        patch.status["replicas"] = spec["replicas"]
