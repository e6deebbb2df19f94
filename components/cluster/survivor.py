"""A backup of the cluster from the data of one master alone, when the others are gone for good.

The cluster is stopped. The master's data begins a cluster of one (etcd's `--force-new-cluster`): what its log
holds is taken as decided, applied, and saved. `kuberaft restore` of that backup is a cluster of three again. What
the others had acknowledged without this master is lost; if it led, that is nothing. The command is `kuberaft backup
--survivor NAME FILE`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from pathlib import Path

from components.cluster import backup, config, topology_file
from components.cluster.backup import Manifest
from components.cluster.config import MasterConfig
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout, unusable
from components.cluster.prepare import take_lock
from kvstore.errors import StoreError
from kvstore.member import Member

SECONDS = 60.0


async def back_up(layout: Layout, name: str, target: Path) -> Manifest:
    """One backup file of the stopped cluster in `layout`. Raises ClusterError."""
    if not layout.config_file(name).exists():
        raise ClusterError(
            f"{layout.root}: there is no master {name!r}", "they are in its directory masters/"
        )
    layout.run.mkdir(mode=0o700, exist_ok=True)
    lock = take_lock(layout)
    try:
        with backup.workspace(target.parent) as work:
            await _snapshot(layout, name, work / "store")
            called = topology_file.load(layout.topology).name
            return await asyncio.to_thread(backup.write, layout, called, work / "store", target)
    except OSError as error:
        raise unusable(target, error) from error
    finally:
        shutil.rmtree(layout.run, ignore_errors=True)
        os.close(lock)


async def _snapshot(layout: Layout, name: str, target: Path) -> None:
    """Write what master `name` has to `target`. Its data cannot go on in the old cluster. Raises ClusterError."""
    from components.master import member_config

    told = member_config(config.load(layout.config_file(name), MasterConfig))
    alone = dataclasses.replace(told, force_new_cluster=True)
    member = Member(alone)
    try:
        async with asyncio.timeout(SECONDS):
            await member.start()
            await member.snapshot(target)
    except (StoreError, OSError, TimeoutError) as error:
        raise ClusterError(
            f"{told.data_dir}: the data of {name} cannot be saved: {error or 'it takes too long'}",
            "restore a backup: kuberaft restore FILE",
        ) from error
    finally:
        await member.stop()
