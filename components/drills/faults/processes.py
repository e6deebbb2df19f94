"""Processes die, stand still, or are restarted in turn."""

from __future__ import annotations

import asyncio
import shutil
import signal
from contextlib import AsyncExitStack
from typing import cast

from components.drills.faults.field import Field
from components.drills.schedule import Planned
from components.drills.spec import ColdStart, Kill, LoseData, Pause, RestartEach


async def kill(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(Kill, planned.step)
    name = await field.resolve(step.target)
    undo.push_async_callback(field.restart, name)
    await field.signal(name, signal.Signals[f"SIG{step.signal}"])
    await field.during(planned, f"{name} gets SIG{step.signal}")


async def pause(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    name = await field.resolve(cast(Pause, planned.step).target)
    undo.push_async_callback(field.signal, name, signal.SIGCONT)
    await field.signal(name, signal.SIGSTOP)
    await field.during(planned, f"{name} stands still (SIGSTOP)")


async def cold_start(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """Started again in an order by lot, each at once: masters need one another to be ready."""
    step = cast(ColdStart, planned.step)
    names = [*field.site.masters, *(field.site.workers if step.workers else [])]
    field.dice.shuffle(names)
    for name in reversed(names):
        undo.push_async_callback(field.restart, name)
    await asyncio.gather(*(field.signal(name, signal.SIGKILL) for name in names))
    await field.during(planned, f"all processes are killed; they come back as {', '.join(names)}")


async def lose_data(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    name = await field.resolve(cast(LoseData, planned.step).target)
    undo.push_async_callback(field.restart, name)
    await field.signal(name, signal.SIGKILL)
    await field.stopped(name)
    await asyncio.to_thread(shutil.rmtree, field.site.directory.masters / name)
    await field.during(planned, f"{name} is killed and its data directory deleted")


async def restart_each(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """As an operator does it: told to end, waited for, started, waited for."""
    step = cast(RestartEach, planned.step)
    for name in [*field.site.masters, *(field.site.workers if step.workers else [])]:
        unfinished = await undo.enter_async_context(AsyncExitStack())
        unfinished.push_async_callback(field.running_again, name)
        field.say(f"{name} is told to end (SIGTERM)", planned.number)
        await field.signal(name, signal.SIGTERM)
        await field.restart(name)
        await field.ready(name)
        unfinished.pop_all()
        await asyncio.sleep(planned.length)
