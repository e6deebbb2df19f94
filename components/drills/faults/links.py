"""Links between masters are cut, one-way or both ways, once or over and over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import cast

from components.cluster.quantities import seconds
from components.drills.faults.field import Field
from components.drills.schedule import Planned, links
from components.drills.spec import Flap, Partition

SAFETY = 30.0
"""Seconds after which the supervisor mends links by itself, should the drill be killed."""
_WORDS = {"both": "is cut off", "out": "is not heard by the others", "in": "does not hear the others"}


async def partition(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(Partition, planned.step)
    alone = await field.resolve(step.alone) if step.alone else ""
    undo.push_async_callback(field.site.supervisor, "heal")
    await cut(field, alone, step.direction, planned.length)
    text = f"{alone} {_WORDS[step.direction]}" if alone else "every master is cut off from every other"
    await field.during(planned, f"{text} ({field.site.network})")


async def flap(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(Flap, planned.step)
    alone, period = await field.resolve(step.alone), seconds(step.period)
    undo.push_async_callback(field.site.supervisor, "heal")
    field.say(f"the links of {alone} come and go ({field.site.network})", planned.number)
    end = asyncio.get_running_loop().time() + planned.length
    while asyncio.get_running_loop().time() < end:
        await cut(field, alone, "both", period)
        await asyncio.sleep(period * field.dice.uniform(0.5, 1.5))
        await field.site.supervisor("heal")
        await asyncio.sleep(period * field.dice.uniform(0.5, 1.5))


async def cut(field: Field, alone: str, direction: str, length: float) -> None:
    chosen = links(list(field.site.masters), alone, direction)
    await field.site.supervisor("cut", links=chosen, seconds=length + SAFETY)
