"""A stand-in for a master or worker process: answers on its admin socket, ends on SIGTERM.

Its behaviour is in its configuration file, JSON: {"socket": path, "ready": true, "nodes": [...], "exit":
code, "deaf": false, "ended": path}; `exit` ends it at once, `deaf` ignores SIGTERM, `ended` records `--end-
pods`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from components.cluster import ipc


def main(args: list[str]) -> int:
    config: dict[str, Any] = json.loads(Path(args[1]).read_text())
    if "--end-pods" in args:
        Path(config["ended"]).write_text("pods ended")
        return 0
    if "exit" in config:
        print("the dummy cannot start", file=sys.stderr)
        return int(config["exit"])
    asyncio.run(_serve(config))
    return 0


async def _serve(config: dict[str, Any]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: config.get("deaf") or stop.set())

    async def status(request: dict[str, Any]) -> Any:
        return {
            "name": config["name"],
            "memberId": "1f",
            "leader": config.get("leader", False),
            "leaderName": "m1",
            "term": 2,
            "appliedIndex": 7,
            "revision": 5,
            "dbSize": 4096,
            "ready": config.get("ready", True),
            "stalls": 0,
            "memory": 1 << 20,
        }

    async def nodes(request: dict[str, Any]) -> Any:
        return [
            {"name": n, "ready": "True", "heartbeat": time.time(), "address": "x"} for n in config["nodes"]
        ]

    server = ipc.Server(Path(config["socket"]), {"status": status, "nodes": nodes})
    await server.start()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
