"""A rolling upgrade: every process in turn ends, and comes back as the program of another interpreter.

Masters before workers, one at a time, each waited for, as Kubernetes' version skew asks for it. Which versions there
were and are is asked of each: an API server's `/version`, a node's `kubeletVersion`.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from typing import cast

import msgspec

from components.client.errors import ApiError
from components.client.resources import NODES
from components.cluster.errors import ClusterError
from components.drills.faults.field import Field
from components.drills.observed import Upgraded
from components.drills.program import program_of
from components.drills.schedule import Planned
from components.drills.spec import UpgradeEach

VERSION_SECONDS = 10.0


async def upgrade_each(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(UpgradeEach, planned.step)
    program = await program_of(step.to)
    names = list(dict.fromkeys([await field.resolve(one) for one in step.only])) or every(field, step)
    before = {name: await version(field, name) for name in names}
    field.say(f"upgrade, one after the other, to {program.text}", planned.number)
    for name in names:
        undo.push_async_callback(_back, field, planned, name)
        unfinished = await undo.enter_async_context(AsyncExitStack())
        unfinished.push_async_callback(field.running_again, name)
        field.say(f"{name} ends and is started by {program.path}", planned.number)
        await _again(field, name, program.path)
        unfinished.pop_all()
        after = await version(field, name)
        field.seen.upgraded.append(Upgraded(name, before[name], after, program.text))
        await asyncio.sleep(planned.length)


def every(field: Field, step: UpgradeEach) -> list[str]:
    return [*field.site.masters, *(field.site.workers if step.workers else [])]


async def _back(field: Field, planned: Planned, name: str) -> None:
    """As the program that it was, if it is another one now."""
    if (await field.process(name)).program:
        field.say(f"{name} goes back to the version that it was", planned.number)
        await _again(field, name, "")
    await field.ready(name)


async def _again(field: Field, name: str, program: str) -> None:
    """Ended, started, ready. Raises ClusterError when it ends instead, with its log's place."""
    await field.signal(name, signal.SIGTERM)
    await field.stopped(name)
    began = time.time()
    await field.start(name, program)
    if not await field.came_up(name):
        raise ClusterError(
            f"{name}, started by {program or 'its own program'}, ended at once",
            f"look at {field.site.directory.log(name)}",
        )
    if name in field.site.workers:
        await field.heard_of(name, began)


async def version(field: Field, name: str) -> str:
    """What the process says it is; empty when it does not say so in time."""
    deadline = asyncio.get_running_loop().time() + VERSION_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            return await (_of_master if name in field.site.masters else _of_worker)(field, name)
        except (ApiError, msgspec.DecodeError):
            await asyncio.sleep(0.2)
    return ""


async def _of_master(field: Field, name: str) -> str:
    async with field.site.client(name, 3.0) as client:
        _, body = await client.raw("GET", "/version")
    return str(msgspec.json.decode(body).get("gitVersion", ""))


async def _of_worker(field: Field, name: str) -> str:
    async with field.site.client(timeout=3.0) as client:
        node = await client.get(NODES, name)
    return str(node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", ""))
