"""`python -m components.controllers --kubeconfig FILE`: the controller manager as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from components.client import kubeconfig
from components.client.leaderelection import ElectionConfigError, LeadershipLost
from components.controllers.app import run_controller_manager
from components.controllers.flags import parse


async def _main(arguments: list[str]) -> int:
    path, options, election = parse(arguments)
    work = asyncio.ensure_future(run_controller_manager(kubeconfig.load(path), options, election))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return 0
    except LeadershipLost as error:
        logging.getLogger(__name__).error("leader election lost: %s", error)
        return 1
    return 0


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        return asyncio.run(_main(sys.argv[1:]))
    except (kubeconfig.KubeconfigError, ElectionConfigError) as error:
        print(f"controllers: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
