"""`kuberaft start`: start a process that was killed or has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from components.cluster.layout import Layout
from components.cluster.options import Dir, ask


def command(
    name: Annotated[str, typer.Argument(help="m1 ... or w1 ...")],
    directory: Dir = None,
) -> None:
    """Start one process of the cluster again."""
    pid = ask(Layout.at(directory), "start", name=name, timeout=40.0)
    print(f"{name}: started (process {pid})")
