"""An operator with a kind of its own, whose objects it completes and checks before they are stored.

As its authors write it: kopf serves the webhooks with the certificate of a folder, as cert-manager would leave it,
and keeps their configurations. `test_kopf_webhooks` runs it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import kopf

KIND = ("operator.example.com", "v1", "backups")


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    folder = Path(os.environ["WEBHOOK_CERTIFICATES"])
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1",
        cafile=folder / "ca.pem",
        certfile=folder / "webhooks.pem",
        pkeyfile=folder / "webhooks.key",
    )
    settings.admission.managed = "backups.operator.example.com"
    settings.watching.server_timeout = 60
    settings.networking.error_backoffs = [0.1, 0.2, 0.5, 1.0]


@kopf.on.mutate(*KIND, operations=["CREATE", "UPDATE"])
async def completed(spec: kopf.Spec, patch: kopf.Patch, userinfo: Any, operation: str, **_: Any) -> None:
    if "schedule" not in spec:
        patch.spec["schedule"] = "@daily"
    if operation == "CREATE":
        patch.meta.annotations["author"] = userinfo["username"]


@kopf.on.validate(*KIND, operations=["CREATE", "UPDATE"])
async def few_copies(spec: kopf.Spec, warnings: list[str], dryrun: bool, **_: Any) -> None:
    if spec["copies"] > 5:
        raise kopf.AdmissionError(f"{spec['copies']} copies are too many, with dryrun={dryrun}", code=422)
    if spec["copies"] == 1:
        warnings.append("one copy is not much")


@kopf.on.validate(*KIND, operations=["DELETE"])
async def kept(spec: kopf.Spec, old: kopf.Body, **_: Any) -> None:
    if spec.get("keep"):
        raise kopf.AdmissionError(f"{old['metadata']['name']} is to be kept")


@kopf.on.validate(*KIND, subresource="status", labels={"strict": kopf.PRESENT})
async def invented(status: kopf.Status, **_: Any) -> None:
    if not str(status.get("phase", "Ready")).startswith("Ready"):
        raise kopf.AdmissionError(f"{status['phase']} is no phase")


@kopf.on.create(*KIND)
@kopf.on.update(*KIND)
async def ready(patch: kopf.Patch, spec: kopf.Spec, **_: Any) -> None:
    patch.status["phase"] = f"Ready with {spec['copies']}"
