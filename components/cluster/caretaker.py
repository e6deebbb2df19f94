"""What the supervisor does now and then beside the processes: looks when certificates end, takes backups.

`warnings` are for `kuberaft status`; `up` says each once when it appears. A failed backup is told to the cluster as
well, by an Event about the namespace kube-system.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from apiserver.api.gvk import GroupVersionResource
from components.client.errors import ApiError
from components.client.events import EventRecorder
from components.client.kubeconfig import KubeconfigError
from components.client.resources import NAMESPACES
from components.client.transport import ApiClient
from components.cluster import backup, certificates, ipc
from components.cluster.backup import Manifest
from components.cluster.backups import Backups
from components.cluster.errors import ClusterError
from components.cluster.inventory import inventory
from components.cluster.layout import Layout
from components.cluster.status import BackupStatus
from components.cluster.topology import Backup

logger = logging.getLogger(__name__)

PERIOD = 3600.0  # seconds
TELL_SECONDS = 5.0
TELL_TIMEOUT = 2.0
SNAPSHOT_TIMEOUT = 600.0
FAILED_REASON = "ClusterBackupFailed"
_RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = GroupVersionResource(_RBAC, "v1", "clusterrolebindings")
ROTATION = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kuberaft:node-autoapprove-certificate-rotation"},
    "roleRef": {
        "apiGroup": _RBAC,
        "kind": "ClusterRole",
        "name": "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    },
    "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": "system:nodes"}],
}


async def allow_rotation(layout: Layout, ready: asyncio.Event) -> None:
    """Once the cluster is ready: kubelets may renew their own client certificates, as kubeadm lets them."""
    await ready.wait()
    try:
        async with ApiClient.from_kubeconfig(layout.kubeconfig, user_agent="kuberaft") as client:
            await client.create(CLUSTER_ROLE_BINDINGS, ROTATION)
    except (ApiError, KubeconfigError) as error:
        if not (isinstance(error, ApiError) and error.is_already_exists):
            logger.warning("kubelets cannot renew their certificates by themselves: %s", error)


class CertificateWatch:
    """Looks at once and then every hour. `say` gets each warning once."""

    def __init__(self, layout: Layout, say: Callable[[str], None]) -> None:
        self._layout = layout
        self._say = say
        self.warnings: list[str] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Now."""
        try:
            found = await asyncio.to_thread(inventory, self._layout, datetime.now(UTC))
        except ClusterError as error:
            lines = [error.message]
        else:
            lines = certificates.warnings(found)
        for line in lines:
            if line not in self.warnings:
                self._say(f"warning: {line}")
        self.warnings = lines


class BackupCare:
    """The scheduled backups of one running cluster, from the first moment that all nodes are Ready."""

    def __init__(
        self,
        layout: Layout,
        wanted: Backup,
        cluster: str,
        masters: Callable[[], list[Path]],
        say: Callable[[str], None],
    ) -> None:
        """`masters`: the admin sockets of those that serve, the leader's first. Raises ClusterError for none."""
        self._layout, self._cluster, self._masters, self._say = layout, cluster, masters, say
        self._backups = Backups(wanted, cluster, self._take, self._failed)
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def status(self) -> BackupStatus:
        return self._backups.status

    @property
    def warnings(self) -> list[str]:
        status = self.status
        if not status.error:
            return []
        last = (
            "there is none"
            if status.last_success is None
            else f"the last is of {_moment(status.last_success)}"
        )
        return [f"no backup could be written to {status.directory} ({last}): {status.error}"]

    async def run(self, ready: asyncio.Event) -> None:
        """Until cancelled."""
        await ready.wait()
        self._start(self._tell_masters(), "figures of backups")
        try:
            await self._backups.run()
        finally:
            for task in list(self._telling):
                task.cancel()
            await asyncio.gather(*self._telling, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_masters(self) -> None:
        """All that are ready, also one that has been started again since."""
        while True:
            try:
                for socket in self._masters():
                    await self._tell_master(socket)
            except ClusterError as error:
                logger.debug("nobody was told of the backups: %s", error)
            await asyncio.sleep(TELL_SECONDS)

    async def _tell_master(self, socket: Path) -> None:
        figures = msgspec.to_builtins(self.status)
        try:
            await ipc.call(socket, "backups", timeout=TELL_TIMEOUT, status=figures)
        except (ClusterError, OSError, TimeoutError) as error:
            logger.debug("%s was not told of the backups: %s", socket, error)

    async def _take(self, target: Path) -> Manifest:
        with backup.workspace(target.parent) as work:
            snapshot = work / "store"
            [leader, *_] = self._masters()
            await ipc.call(leader, "snapshot", timeout=SNAPSHOT_TIMEOUT, file=str(snapshot))
            return await asyncio.to_thread(backup.write, self._layout, self._cluster, snapshot, target)

    def _failed(self, text: str) -> None:
        self._say(f"warning: no backup was written: {text}")
        self._start(self._tell(text), "event of a failed backup")

    async def _tell(self, text: str) -> None:
        """An Event. The cluster may be what is wrong, so that it cannot be written is no news."""
        try:
            async with ApiClient.from_kubeconfig(self._layout.kubeconfig, user_agent="kuberaft") as client:
                about = await client.get(NAMESPACES, "kube-system")
                recorder = EventRecorder(client, "kuberaft")
                recorder.event(about, "Warning", FAILED_REASON, f"no backup was written: {text}")
                await recorder.close()
        except (ApiError, KubeconfigError) as error:
            logger.info("the event of a failed backup was not written: %s", error)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
