"""A snapshot of the store from the data of one master alone, when the others are gone for good.

The cluster is stopped. The master's data begins a cluster of one (etcd's `--force-new-cluster`): what its log
holds is taken as decided, applied, and saved. `kuberaft restore` of a backup made with that snapshot is a cluster
of three again. What the others had acknowledged without this master is lost; if it led, that is nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

from components.cluster import config
from components.cluster.config import MasterConfig
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from kvstore.errors import StoreError
from kvstore.member import Member

SECONDS = 60.0


async def snapshot(layout: Layout, name: str, target: Path) -> None:
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
