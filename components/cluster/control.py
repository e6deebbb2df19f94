"""The supervisor's control socket: what each request of the command line does (`ipc` carries them)."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from components.cluster import ipc
from components.cluster.supervisor import Supervisor

SNAPSHOT_TIMEOUT = 600.0


def server(supervisor: Supervisor, path: Any) -> ipc.Server:
    """The control socket of one supervisor."""

    async def status(request: dict[str, Any]) -> Any:
        return msgspec.to_builtins(supervisor.status())

    async def kill(request: dict[str, Any]) -> Any:
        return supervisor.kill(request["name"], request["signal"])

    async def start(request: dict[str, Any]) -> Any:
        return await supervisor.start(request["name"])

    async def down(request: dict[str, Any]) -> Any:
        """Begins the end; the answer is whose end to wait for."""
        supervisor.request_stop()
        return os.getpid()

    async def progress(request: dict[str, Any]) -> Any:
        return supervisor.progress()

    async def snapshot(request: dict[str, Any]) -> Any:
        master = supervisor.ready_master()
        return await ipc.call(master, "snapshot", timeout=SNAPSHOT_TIMEOUT, file=request["file"])

    async def move_leader(request: dict[str, Any]) -> Any:
        return await ipc.call(supervisor.ready_master(), "move-leader", to=request["to"])

    async def cut(request: dict[str, Any]) -> Any:
        links = [(source, target) for source, target in request["links"]]
        supervisor.peers.cut(links, request["seconds"], reset=bool(request.get("reset")))

    async def heal(request: dict[str, Any]) -> Any:
        supervisor.peers.heal()

    operations = {
        "status": status,
        "kill": kill,
        "start": start,
        "down": down,
        "progress": progress,
        "snapshot": snapshot,
        "move-leader": move_leader,
        "cut": cut,
        "heal": heal,
    }
    return ipc.Server(path, operations)
