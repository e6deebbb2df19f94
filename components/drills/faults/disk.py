"""A master can write no more to its files, or only slowly; all masters lose power.

What a full disk does to a process is that its writes fail. Here the kernel fails them for one process alone
(RLIMIT_FSIZE of 0: every write to a file is answered EFBIG), which needs no privilege and no disk of its own, and
leaves all others of the machine in peace. Losing power needs file systems of the masters' own (`drills.disks`).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.quantities import seconds
from components.drills.faults.field import Field
from components.drills.schedule import Planned
from components.drills.spec import FullDisk, PowerLoss, SlowDisk

MARGIN = 5.0
"""Seconds after which a slow disk is fast again, should the drill be killed."""


async def full(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    name = await field.resolve(cast(FullDisk, planned.step).target)
    pid = (await field.process(name)).pid
    if pid is None:
        raise ClusterError(f"{name} does not run", "start it: kuberaft start")
    undo.push_async_callback(_room_again, field, name, pid)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))
    await field.during(planned, f"no write of {name} to a file succeeds (file size limit)")


async def _room_again(field: Field, name: str, pid: int) -> None:
    """A master whose disk failed ends, perhaps only now; it is started again. One that noticed nothing goes on."""
    if (await field.process(name)).pid == pid:
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    await field.settled(name)
    await field.start(name)


async def slow(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """Asked of the master itself, which sleeps in the thread that writes its log; over when the time is."""
    step = cast(SlowDisk, planned.step)
    name = await field.resolve(step.target)
    delay, where = seconds(step.delay), field.site.directory.admin_socket(name)
    undo.push_async_callback(_fast_again, where)
    await ipc.call(where, "slow-disk", delay=delay, seconds=planned.length + MARGIN)
    await field.during(planned, f"every fsync of {name} takes {step.delay} longer")


async def _fast_again(where: Path) -> None:
    with contextlib.suppress(ClusterError, TimeoutError):
        await ipc.call(where, "slow-disk", delay=0.0, seconds=0.0)


async def power_loss(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    masters = list(field.site.masters)
    for disk in field.site.disks.values():
        await asyncio.to_thread(disk.flush)
    await asyncio.sleep(seconds(cast(PowerLoss, planned.step).since_flush))
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
        try:
            await asyncio.to_thread(disk.restore_power)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            raise ClusterError(
                f"the disk of {name} has no power again: {error}", "run the drill again"
            ) from error
