"""The supervisor's control socket: what each request of the command line does (`ipc` carries them)."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from components.cluster import ipc, pki
from components.cluster.drilling import DrillRuns
from components.cluster.ipc import Handler
from components.cluster.supervisor import Supervisor

SNAPSHOT_TIMEOUT = 600.0
BASELINE_TIMEOUT = 60.0
Request = dict[str, Any]


def server(supervisor: Supervisor, path: Path, drills: DrillRuns) -> ipc.Server:
    """The control socket of one supervisor; drills are run beside it."""
    operations = (_cluster, _masters, _certificates, _links)
    served = {name: handler for part in operations for name, handler in part(supervisor).items()}
    return ipc.Server(path, served | _drills(drills))


def _cluster(supervisor: Supervisor) -> dict[str, Handler]:
    """What the supervisor does by itself."""

    async def status(request: Request) -> Any:
        return msgspec.to_builtins(supervisor.status())

    async def kill(request: Request) -> Any:
        return supervisor.kill(request["name"], request["signal"])

    async def start(request: Request) -> Any:
        return await supervisor.start(request["name"], request.get("program", ""))

    async def down(request: Request) -> Any:
        """Begins the end; the answer is whose end to wait for."""
        supervisor.request_stop()
        return os.getpid()

    async def progress(request: Request) -> Any:
        return supervisor.progress()

    return {"status": status, "kill": kill, "start": start, "down": down, "progress": progress}


def _masters(supervisor: Supervisor) -> dict[str, Handler]:
    """What is passed on to a master that is ready."""

    async def snapshot(request: Request) -> Any:
        master = supervisor.ready_master()
        return await ipc.call(master, "snapshot", timeout=SNAPSHOT_TIMEOUT, file=request["file"])

    async def move_leader(request: Request) -> Any:
        return await ipc.call(supervisor.ready_master(), "move-leader", to=request["to"])

    async def mark(request: Request) -> Any:
        master = supervisor.ready_master()
        return await ipc.call(master, "mark", timeout=BASELINE_TIMEOUT, file=request["file"])

    async def reset(request: Request) -> Any:
        master = supervisor.ready_master()
        return await ipc.call(master, "reset", timeout=BASELINE_TIMEOUT, file=request["file"])

    return {"snapshot": snapshot, "move-leader": move_leader, "mark": mark, "reset": reset}


def _certificates(supervisor: Supervisor) -> dict[str, Handler]:
    async def renew(request: Request) -> Any:
        """`seconds`: of a life that a drill wants to see the end of; else they live as long as all others."""
        life = timedelta(seconds=request["seconds"]) if "seconds" in request else pki.LEAF_LIFE
        return await supervisor.renew_certificates(request["names"], life)

    async def exchange(request: Request) -> Any:
        return await supervisor.exchange_authorities()

    async def drop(request: Request) -> Any:
        await supervisor.drop_authorities()

    async def exchange_token_key(request: Request) -> Any:
        await supervisor.exchange_token_key()

    async def drop_token_keys(request: Request) -> Any:
        await supervisor.drop_token_keys()

    return {
        "renew-certificates": renew,
        "exchange-authorities": exchange,
        "drop-authorities": drop,
        "exchange-token-key": exchange_token_key,
        "drop-token-keys": drop_token_keys,
    }


def _links(supervisor: Supervisor) -> dict[str, Handler]:
    """Connections between masters, where they go through the supervisor."""

    async def cut(request: Request) -> Any:
        links = [(source, target) for source, target in request["links"]]
        supervisor.peers.cut(links, request["seconds"], reset=bool(request.get("reset")))

    async def heal(request: Request) -> Any:
        supervisor.peers.heal()

    return {"cut": cut, "heal": heal}


def _drills(drills: DrillRuns) -> dict[str, Handler]:
    async def catalogue(request: Request) -> Any:
        return await drills.catalogue()

    async def start(request: Request) -> Any:
        return await drills.start(request["name"], request["options"])

    async def status(request: Request) -> Any:
        return drills.status(request["id"], request["since"])

    async def stop(request: Request) -> Any:
        return drills.stop(request["id"])

    async def report(request: Request) -> Any:
        return drills.report(request["id"])

    return {
        "drill-list": catalogue,
        "drill-start": start,
        "drill-status": status,
        "drill-stop": stop,
        "drill-report": report,
    }
