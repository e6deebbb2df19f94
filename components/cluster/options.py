"""Options and helpers that the subcommands share. Imported by every one of them, so light."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from components.cluster.layout import Layout

Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help="The cluster's data directory.",
        envvar="KUBERAFT_DIR",
        show_default="~/.kuberaft",
    ),
]


def ask(layout: Layout, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
    """One request to the supervisor of the cluster in `layout`. Raises ClusterError when none runs."""
    from components.cluster import ipc

    return asyncio.run(ipc.call(layout.socket, op, timeout=timeout, **arguments))
