"""`kuberaft restore FILE`: put a whole cluster back; start it afterwards with `kuberaft up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.cluster.layout import Layout
from components.cluster.options import Dir


def command(
    file: Annotated[Path, typer.Argument(help="A file made by kuberaft backup.")],
    directory: Dir = None,
    api_port: Annotated[
        int | None,
        typer.Option("--api-port", min=0, max=65535, help="Another port on 127.0.0.1; 0 is any free."),
    ] = None,
) -> None:
    """Replace the (stopped) cluster by the one in the backup, or make one from it."""
    from components.cluster.restore import restore

    layout = Layout.at(directory)
    found = restore(file, layout, api_port)
    print(f"{layout.root}: restored cluster {found.name} of {found.created}, revision {found.revision}")
    print(f"start it: kuberaft up --dir {layout.root}")
