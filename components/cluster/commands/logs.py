"""`kuberaft logs`: what a process said."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir


def command(
    name: Annotated[str, typer.Argument(help="m1 ..., w1 ..., or supervisor.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing what is added.")] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Show the last lines only; 0 is all.")] = 0,
    directory: Dir = None,
) -> None:
    """Print the log of one process of the cluster."""
    from components.cluster import logtail

    layout = Layout.at(directory)
    path = layout.log(name)
    if "/" in name or not path.exists():
        known = ", ".join(sorted(file.stem for file in layout.logs.glob("*.log"))) or "none yet"
        raise ClusterError(f"{path}: there is no log of {name!r}", f"the logs are: {known}")
    if tail:
        print("\n".join(logtail.last_lines(path, tail)))
    else:
        sys.stdout.write(path.read_text(errors="replace"))

    sys.stdout.flush()
    if follow:
        follower = logtail.Follower(path)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                sys.stdout.write(follower.read())
                sys.stdout.flush()
                time.sleep(0.2)
