"""Links between masters are cut, one-way or both ways, once or over and over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import cast

from components.cluster.errors import ClusterError
from components.cluster.quantities import seconds
from components.drills.faults.field import Field
from components.drills.links import Links
from components.drills.schedule import Planned, links
from components.drills.spec import Flap, Partition

SAFETY = 30.0
"""Seconds after which the supervisor mends links by itself, should the drill be killed."""
_WORDS = {"both": "is cut off", "out": "is not heard by the others", "in": "does not hear the others"}


async def partition(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step, found = cast(Partition, planned.step), of(field)
    alone = await field.resolve(step.alone) if step.alone else ""
    undo.push_async_callback(found.heal)
    await found.cut(links(list(field.site.masters), alone, step.direction), planned.length + SAFETY)
    text = f"{alone} {_WORDS[step.direction]}" if alone else "every master is cut off from every other"
    await field.during(planned, f"{text} ({field.site.network})")


async def flap(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step, found = cast(Flap, planned.step), of(field)
    alone, period = await field.resolve(step.alone), seconds(step.period)
    undo.push_async_callback(found.heal)
    field.say(f"the links of {alone} come and go ({field.site.network})", planned.number)
    end = asyncio.get_running_loop().time() + planned.length
    while asyncio.get_running_loop().time() < end:
        await found.cut(links(list(field.site.masters), alone, "both"), period + SAFETY)
        await asyncio.sleep(period * field.dice.uniform(0.5, 1.5))
        await found.heal()
        await asyncio.sleep(period * field.dice.uniform(0.5, 1.5))


def of(field: Field) -> Links:
    """Raises ClusterError where no link can be cut; such a drill is refused before."""
    if field.site.links is None:
        raise ClusterError("no link of this cluster can be cut", "leave out --dir")
    return field.site.links
