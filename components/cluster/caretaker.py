"""What the supervisor looks at now and then beside the processes: when certificates end.

`warnings` are for `kuberaft status`; `up` says each once when it appears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from components.cluster import certificates
from components.cluster.errors import ClusterError
from components.cluster.inventory import inventory
from components.cluster.layout import Layout

PERIOD = 3600.0  # seconds


class CertificateWatch:
    """Looks at once and then every hour. `say` gets each warning once."""

    def __init__(self, layout: Layout, say: Callable[[str], None]) -> None:
        self._layout = layout
        self._say = say
        self.warnings: list[str] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Now."""
        try:
            found = await asyncio.to_thread(inventory, self._layout, datetime.now(UTC))
        except ClusterError as error:
            lines = [error.message]
        else:
            lines = certificates.warnings(found)
        for line in lines:
            if line not in self.warnings:
                self._say(f"warning: {line}")
        self.warnings = lines
