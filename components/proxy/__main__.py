"""`python -m components.proxy`: kube-proxy's flags, as far as they are supported."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys

from components.client.kubeconfig import ClientConfig, KubeconfigError, load
from components.proxy.app import run_proxy

MODES = ("userspace",)


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="kube-proxy", description="Makes Service addresses answer on this node."
    )
    flags.add_argument("--kubeconfig", required=True, metavar="FILE")
    flags.add_argument(
        "--hostname-override", default=socket.gethostname(), metavar="NODE", help="this node's name"
    )
    flags.add_argument(
        "--bind-address",
        type=_address,
        required=True,
        metavar="IP",
        help="where node ports listen: the node's address",
    )
    flags.add_argument("--proxy-mode", choices=MODES, default="userspace")
    flags.add_argument("-v", "--v", type=int, default=0, metavar="LEVEL")
    return flags


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    level = logging.DEBUG if arguments.v >= 4 else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    try:
        config = load(arguments.kubeconfig)
    except KubeconfigError as error:
        print(f"kube-proxy: {error}", file=sys.stderr)
        return 1
    asyncio.run(_until_signal(config, arguments))
    return 0


async def _until_signal(config: ClientConfig, arguments: argparse.Namespace) -> None:
    work = run_proxy(config, node_name=arguments.hostname_override, node_ip=arguments.bind_address)
    running = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address") from error


if __name__ == "__main__":
    sys.exit(main())
