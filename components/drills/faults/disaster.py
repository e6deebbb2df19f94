"""The whole cluster is lost and put back: from a backup, or from what one surviving master still has.

Both end with a new cluster that knows nothing of what came after the backup (`eras.Break`): on the addresses of the
old one, or in another directory and behind another address, to which the clients are pointed then. Only for clusters
of the drill's own: the supervisor ends with the old cluster.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from components.cluster import backup, stopping
from components.cluster.layout import Layout
from components.cluster.restore import restore as restore_cluster
from components.cluster.survivor import back_up
from components.drills.eras import Break
from components.drills.faults.field import Field
from components.drills.recording.recorder import Recorder
from components.drills.schedule import Planned
from components.drills.sites import elsewhere, free_port, start, unbroken
from components.drills.spec import QuorumLoss, Restore

NEVER = 0
"""The revision of a backup that is not there yet."""


async def restore(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """A backup under load; more load; the end of everything; the cluster from the backup."""
    step = cast(Restore, planned.step)
    layout = field.site.directory
    file = _workspace(undo) / "cluster.backup"
    await field.site.supervisor("snapshot", file=str(file.with_name("snapshot")))
    name = (await field.site.status()).name
    manifest = await asyncio.to_thread(backup.write, layout, name, file.with_name("snapshot"), file)
    await field.during(planned, f"a backup is taken at revision {manifest.revision}")
    port = await _port(field) if step.addresses == "same" else free_port()
    field.say(
        "the cluster is stopped" if step.gentle else "all processes and all data are lost", planned.number
    )
    if not step.gentle:
        await _destroy(field, layout)
    new = layout if step.addresses == "same" else elsewhere(layout)
    await unbroken(_put_back(field, new, file, port, manifest.revision))
    if new == layout:
        return
    field.site.move(new)
    field.crew.move()
    server = field.site.config().server
    field.say(f"the clients are pointed at the new kubeconfig: {server}, {new.root.name}/", planned.number)


async def quorum_loss(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """Two masters die for good; what the third has becomes a new cluster."""
    survivor = await field.resolve(cast(QuorumLoss, planned.step).survivor)
    layout, port = field.site.directory, await _port(field)
    lost = [name for name in field.site.masters if name != survivor]
    for name in lost:
        await field.signal(name, signal.SIGKILL)
    for name in lost:
        await field.stopped(name)
        await asyncio.to_thread(shutil.rmtree, layout.masters / name)
    await field.during(planned, f"{' and '.join(lost)} are lost with their data; {survivor} has no quorum")
    file = _workspace(undo) / "survivor.backup"
    field.say(f"the cluster is stopped, and a new one made from the data of {survivor}", planned.number)
    await unbroken(_from_survivor(field, survivor, file, port))


async def _from_survivor(field: Field, survivor: str, file: Path, port: int) -> None:
    """The survivor is killed: without a quorum an orderly end has nothing to wait for, and its log is on disk."""
    layout = field.site.directory
    await field.signal(survivor, signal.SIGKILL)
    await field.stopped(survivor)
    await asyncio.to_thread(stopping.stop, layout)
    field.seen.restored = Break(Recorder.now(), NEVER)
    manifest = await back_up(layout, survivor, file)
    field.seen.restored = Break(field.seen.restored.time, manifest.revision)
    await _start_from(layout, file, port)


def _workspace(undo: AsyncExitStack) -> Path:
    return Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="kuberaft-drill-backup-")))


async def _port(field: Field) -> int:
    return urlsplit((await field.site.status()).server).port or 0


async def _destroy(field: Field, layout: Layout) -> None:
    """As a machine room that burns: nobody says goodbye, and the disks are gone."""
    names = [*field.site.workers, *field.site.masters]
    await asyncio.gather(*(field.signal(name, signal.SIGKILL) for name in names), return_exceptions=True)
    for name in field.site.masters:
        await field.stopped(name)
        await asyncio.to_thread(shutil.rmtree, layout.masters / name)


async def _put_back(field: Field, layout: Layout, file: Path, port: int, revision: int) -> None:
    """The old cluster ends, whatever is left of it: it has the address slot of the Services in the backup."""
    await asyncio.to_thread(stopping.stop, field.site.directory)
    field.seen.restored = Break(Recorder.now(), revision)
    await _start_from(layout, file, port)


async def _start_from(layout: Layout, file: Path, port: int) -> None:
    await asyncio.to_thread(restore_cluster, file, layout, port)
    await start(layout, None, lambda line: None)
