"""A member that can no longer work is not asked for its leader again and again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from kvstore.errors import RequestTimeout, Stopped
from kvstore.server.app import App
from tests.support.virtual_time import run_virtual


def test_a_member_that_stopped_is_left_alone() -> None:
    asked = []

    async def wait_leader(timeout: float) -> int:
        asked.append(timeout)
        raise RequestTimeout if len(asked) < 3 else Stopped

    async def scenario() -> None:
        app: Any = SimpleNamespace(member=SimpleNamespace(wait_leader=wait_leader))
        async with asyncio.timeout(60):
            await App._report_ready(cast(App, app))

    run_virtual(scenario())
    assert len(asked) == 3
