"""`kuberaft down`: stop the cluster; with `--purge`, delete its data too."""

from __future__ import annotations

from typing import Annotated

import typer

from components.cluster.layout import Layout
from components.cluster.options import Dir


def command(
    directory: Dir = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete the cluster's data, certificates and logs.")
    ] = False,
) -> None:
    """Stop every process of the cluster and its pods."""
    from components.cluster import stopping

    layout = Layout.at(directory)
    was_running = stopping.stop(layout)
    if purge:
        stopping.purge(layout)
    done = ["stopped" if was_running else "was not running", *(["deleted"] if purge else [])]
    print(f"{layout.root}: {', '.join(done)}")
