"""The clock of the day jumps, for all processes of the cluster at once: its machine's time is set."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import cast

from components.drills.clock import set_clock
from components.drills.faults.field import Field
from components.drills.schedule import Planned
from components.drills.spec import ClockJump


async def jump(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    by = cast(ClockJump, planned.step).by
    undo.callback(set_clock, field.site.clock, 0)
    set_clock(field.site.clock, by)
    await field.during(planned, f"the clock of the day jumps by {by:+d} s")
