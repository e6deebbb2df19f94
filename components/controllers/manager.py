"""Builds the enabled controllers on shared informers and runs them.

Stands below `app` (leader election, flags) and `components.master`; it elects nobody itself. Ends when
cancelled; a controller that fails takes the others down, as a half-working manager would hide the fault.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime

from components.client import activity
from components.client.activity import Activity
from components.client.informer import InformerFactory
from components.client.transport import ApiClient
from components.controllers.common.context import Controller, ControllerContext, utc_now
from components.controllers.csrsigning.controller import CertificateSigner
from components.controllers.options import ControllerOptions
from components.controllers.table import CONTROLLERS, KEYS


class ControllerManager:
    def __init__(
        self,
        client: ApiClient,
        options: ControllerOptions,
        *,
        now: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
        tells: Activity | None = None,
    ) -> None:
        """``tells``: where the controllers tell of their work."""
        self._activity = tells
        self._context = ControllerContext(
            client, InformerFactory(client), options, now=now, rng=rng or random.Random()
        )
        self._options = options

    async def run(self) -> None:
        """All enabled controllers until cancelled."""
        context = self._context
        if self._activity is not None:
            self._activity.kinds = KEYS
            activity.CURRENT.set(self._activity)
        controllers = [build(context) for name, build in CONTROLLERS.items() if self._enabled(name)]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(context.informers.run(), name="controller informers")
                for controller in controllers:
                    group.create_task(_run_synced(context, controller), name=controller.name)
        finally:
            await asyncio.gather(*(recorder.close() for recorder in context.recorders))

    def _enabled(self, name: str) -> bool:
        if name == "root-ca-certificate-publisher-controller" and not self._options.root_ca:
            return False
        if name == CertificateSigner.name and not self._options.cluster_signing_key_file:
            return False
        if name == "garbage-collector-controller" and not self._options.enable_garbage_collector:
            return False
        return self._options.enabled(name)


async def _run_synced(context: ControllerContext, controller: Controller) -> None:
    # No timeout: while the API server is away there is nothing a controller could do but wait for it.
    await context.informers.wait_synced()
    await controller.run()
