"""Publishes the cluster's CA certificate in every namespace, and anew when its file changes."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from apiserver.api.meta import Object
from components.client.reload import stamp_of
from components.client.resources import CONFIG_MAPS
from components.controllers.common.context import ControllerContext
from components.controllers.common.pernamespace import PerNamespace
from components.controllers.rootca.plan import NAME, desired

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


class RootCaPublisher(PerNamespace):
    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context, "root-ca-certificate-publisher-controller", CONFIG_MAPS, NAME, self._wanted)
        self._text = context.options.root_ca
        self._file = context.options.root_ca_file

    def _wanted(self, namespace: str, current: Object | None) -> Object | None:
        return desired(self._text, namespace, current)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name=self.name)
            if self._file is not None:
                group.create_task(self._follow(self._file), name=f"{self.name} file")

    async def _follow(self, file: Path) -> None:
        seen = None
        while True:
            stamp = stamp_of((file,))
            if stamp != seen:
                seen = stamp
                await self._read(file)
            await asyncio.sleep(LOOK_SECONDS)

    async def _read(self, file: Path) -> None:
        """A file that cannot be read leaves what is published."""
        try:
            text = await asyncio.to_thread(file.read_text)
        except (OSError, UnicodeDecodeError) as error:
            log.warning("the published CA certificate stays: %s: %s", file, error)
            return
        if text and text != self._text:
            self._text = text
            self.check_all()
