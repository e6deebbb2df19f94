"""The chapter of the tour on backup and restore. Only a cluster that the tour owns is stopped for a restore."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from components.client.resources import DEPLOYMENTS
from components.cluster import backup, run, stopping
from components.cluster.restore import restore
from components.cluster.tour.guide import Guide, where
from components.cluster.tour.manifests import NAMESPACE


async def back_up_and_restore(guide: Guide) -> None:
    with tempfile.TemporaryDirectory(prefix="kuberaft-tour-") as directory:
        target = Path(directory) / "cluster.backup"
        await _back_up(guide, target)
        if guide.owns_cluster:
            await _lose_and_restore(guide, target)
        else:
            guide.result("a restore stops the cluster: see it with kuberaft tour --temporary")


async def _back_up(guide: Guide, target: Path) -> None:
    guide.chapter(
        "A backup", "One file with the store, the certificates and the topology, verified as it is written."
    )
    guide.command("kuberaft backup cluster.backup")
    snapshot = target.with_name("snapshot")
    await guide.supervisor("snapshot", file=str(snapshot))
    name = (await guide.supervisor("status"))["name"]
    written = await asyncio.to_thread(backup.write, guide.layout, name, snapshot, target)
    size = (await asyncio.to_thread(target.stat)).st_size
    guide.result(f"{size / 2**20:.1f} MiB, revision {written.revision}, verified")


async def _lose_and_restore(guide: Guide, file: Path) -> None:
    guide.chapter(
        "A loss, and a restore",
        """The Deployment is deleted by mistake, and its pods with it. The cluster is stopped, put back from the
        file and started again: what was deleted is there, what was made since is not.""",
    )
    guide.command("kubectl delete deployment web")
    await guide.client.delete(DEPLOYMENTS, "web", NAMESPACE)

    async def no_pods() -> bool:
        return not await guide.pods()

    await guide.until("the pods are gone", no_pods)
    guide.command("kuberaft down && kuberaft restore cluster.backup && kuberaft up --detach")
    began = time.monotonic()
    port = urlsplit((await guide.supervisor("status"))["server"]).port
    await asyncio.to_thread(stopping.stop, guide.layout)
    await asyncio.to_thread(restore, file, guide.layout, port)
    await asyncio.to_thread(run.in_background, guide.layout, None, None, None)
    pods = await guide.ready_pods(2)
    guide.result(f"back after {time.monotonic() - began:.1f} s: {where(pods)}")
