"""The supervisor's control socket: what each request of the command line does (`ipc` carries them)."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from components.cluster import ipc
from components.cluster.drilling import DrillRuns
from components.cluster.supervisor import Supervisor

SNAPSHOT_TIMEOUT = 600.0
BASELINE_TIMEOUT = 60.0


def server(supervisor: Supervisor, path: Any, drills: DrillRuns) -> ipc.Server:
    """The control socket of one supervisor; drills are run beside it."""

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

    async def renew_certificates(request: dict[str, Any]) -> Any:
        return await supervisor.renew_certificates(request["names"])

    async def exchange_authorities(request: dict[str, Any]) -> Any:
        return await supervisor.exchange_authorities()

    async def drop_authorities(request: dict[str, Any]) -> Any:
        await supervisor.drop_authorities()

    async def drill_list(request: dict[str, Any]) -> Any:
        return await drills.catalogue()

    async def drill_start(request: dict[str, Any]) -> Any:
        return await drills.start(request["name"], request["options"])

    async def drill_status(request: dict[str, Any]) -> Any:
        return drills.status(request["id"], request["since"])

    async def drill_stop(request: dict[str, Any]) -> Any:
        return drills.stop(request["id"])

    async def drill_report(request: dict[str, Any]) -> Any:
        return drills.report(request["id"])

    async def mark(request: dict[str, Any]) -> Any:
        return await ipc.call(
            supervisor.ready_master(), "mark", timeout=BASELINE_TIMEOUT, file=request["file"]
        )

    async def reset(request: dict[str, Any]) -> Any:
        return await ipc.call(
            supervisor.ready_master(), "reset", timeout=BASELINE_TIMEOUT, file=request["file"]
        )

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
        "renew-certificates": renew_certificates,
        "exchange-authorities": exchange_authorities,
        "drop-authorities": drop_authorities,
        "drill-list": drill_list,
        "drill-start": drill_start,
        "drill-status": drill_status,
        "drill-stop": drill_stop,
        "drill-report": drill_report,
        "mark": mark,
        "reset": reset,
        "cut": cut,
        "heal": heal,
    }
    return ipc.Server(path, operations)
