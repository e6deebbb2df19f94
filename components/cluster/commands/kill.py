"""`kuberaft kill`: send a signal to a master or worker, to see what a cluster does about it."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir, ask


def command(
    name: Annotated[str, typer.Argument(help="m1 ..., w1 ..., or leader.")],
    sig: Annotated[str, typer.Option("--signal", "-s", help="Name or number of the signal.")] = "KILL",
    directory: Dir = None,
) -> None:
    """Send a signal (KILL) to one process of the cluster."""
    number = parse_signal(sig)
    killed = ask(Layout.at(directory), "kill", name=name, signal=number)
    print(f"{killed}: sent {signal.Signals(number).name}")


def parse_signal(text: str) -> int:
    """`KILL`, `SIGKILL` and `9` are 9."""
    try:
        if text.isdigit():
            return signal.Signals(int(text)).value
        return signal.Signals["SIG" + text.upper().removeprefix("SIG")].value
    except (KeyError, ValueError):
        raise ClusterError(
            f"there is no signal {text!r}", "use a name or number such as KILL, STOP, CONT, 15"
        ) from None
