"""`python -m components.scheduler`: kube-scheduler's flags, as far as they are supported."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys

from components.client.kubeconfig import ClientConfig, KubeconfigError, load
from components.client.leaderelection import ElectionConfigError, ElectionTimes
from components.scheduler.app import SchedulerOptions, run_scheduler
from components.scheduler.duration import parse_duration


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(prog="kube-scheduler", description="Assigns pods to nodes.")
    flags.add_argument("--kubeconfig", required=True, metavar="FILE")
    flags.add_argument("--leader-elect", type=_boolean, nargs="?", const=True, default=True, metavar="BOOL")
    for name, default in (("lease-duration", 15.0), ("renew-deadline", 10.0), ("retry-period", 2.0)):
        flags.add_argument(f"--leader-elect-{name}", type=_duration, default=default, metavar="DURATION")
    flags.add_argument("--leader-elect-resource-name", default="kube-scheduler", metavar="NAME")
    flags.add_argument("--leader-elect-resource-namespace", default="kube-system", metavar="NAMESPACE")
    flags.add_argument("-v", "--v", type=int, default=0, metavar="LEVEL")
    return flags


def options_of(arguments: argparse.Namespace) -> SchedulerOptions:
    return SchedulerOptions(
        leader_elect=arguments.leader_elect,
        election=ElectionTimes(
            arguments.leader_elect_lease_duration,
            arguments.leader_elect_renew_deadline,
            arguments.leader_elect_retry_period,
        ),
        lease_name=arguments.leader_elect_resource_name,
        lease_namespace=arguments.leader_elect_resource_namespace,
    )


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    level = logging.DEBUG if arguments.v >= 4 else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    try:
        config, options = load(arguments.kubeconfig), options_of(arguments)
    except (KubeconfigError, ElectionConfigError) as error:
        print(f"kube-scheduler: {error}", file=sys.stderr)
        return 1
    asyncio.run(_until_signal(config, options))
    return 0


async def _until_signal(config: ClientConfig, options: SchedulerOptions) -> None:
    running = asyncio.ensure_future(run_scheduler(config, options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


if __name__ == "__main__":
    sys.exit(main())
