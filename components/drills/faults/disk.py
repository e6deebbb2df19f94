"""A master can write no more to its files, or all masters lose power.

What a full disk does to a process is that its writes fail. Here the kernel fails them for one process alone
(RLIMIT_FSIZE of 0: every write to a file is answered EFBIG), which needs no privilege and no disk of its own, and
leaves all others of the machine in peace. Losing power needs file systems of the masters' own (`drills.disks`).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from contextlib import AsyncExitStack
from typing import cast

from components.cluster.errors import ClusterError
from components.drills.faults.field import Field
from components.drills.schedule import Planned
from components.drills.spec import FullDisk


async def full(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    name = await field.resolve(cast(FullDisk, planned.step).target)
    pid = (await field.process(name)).pid
    if pid is None:
        raise ClusterError(f"{name} does not run", "start it: kuberaft start")
    undo.push_async_callback(_room_again, field, name, pid)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))
    await field.during(planned, f"no write of {name} to a file succeeds (file size limit)")


async def _room_again(field: Field, name: str, pid: int) -> None:
    """A master whose disk failed ends; it is started again. One that did not goes on."""
    if (await field.process(name)).pid == pid:
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    await field.start(name)


async def power_loss(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    masters = list(field.site.masters)
    for name in masters:
        undo.push_async_callback(field.restart, name)
    undo.push_async_callback(_power_again, field)
    for disk in field.site.disks.values():
        disk.cut_power()
    await asyncio.gather(*(field.signal(name, signal.SIGKILL) for name in masters), return_exceptions=True)
    await field.during(planned, "all masters lose power")


async def _power_again(field: Field) -> None:
    for name, disk in field.site.disks.items():
        await field.stopped(name)
        await asyncio.to_thread(disk.restore_power)
