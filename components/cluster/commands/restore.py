"""`kuberaft restore FILE`: put a whole cluster back; start it afterwards with `kuberaft up`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir


class Output(StrEnum):
    """Formats of `-o`."""

    TABLE = "table"
    JSON = "json"


def command(
    file: Annotated[
        Path | None,
        typer.Argument(help="A file made by kuberaft backup; without: the cluster's own history."),
    ] = None,
    directory: Dir = None,
    api_port: Annotated[
        int | None,
        typer.Option("--api-port", min=0, max=65535, help="Another port on 127.0.0.1; 0 is any free."),
    ] = None,
    to_revision: Annotated[
        int, typer.Option("--to-revision", min=0, help="As of that revision of the store; 0 is the last.")
    ] = 0,
    preview: Annotated[
        bool, typer.Option("--preview", help="Change nothing: show which objects vanish, change and return.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="Of --preview: table or json.")
    ] = Output.TABLE,
) -> None:
    """Replace the (stopped) cluster by the one in the backup, or make one from it."""
    layout = Layout.at(directory)
    if file is None and (preview or not to_revision):
        raise ClusterError(
            "which backup?", "name its file, or a revision of the cluster itself: --to-revision N"
        )
    if preview and file is not None:
        _preview(file, layout, to_revision, output)
    else:
        _restore(file, layout, api_port, to_revision)


def _restore(file: Path | None, layout: Layout, api_port: int | None, to_revision: int) -> None:
    from components.cluster import restore

    if file is None:
        restore.restore_own(layout, to_revision, api_port)
        print(f"{layout.root}: the cluster is as it was at revision {to_revision}")
    else:
        found = restore.restore(file, layout, api_port, to_revision)
        revision = to_revision or found.revision
        print(f"{layout.root}: restored cluster {found.name} of {found.created}, revision {revision}")
    print(f"start it: kuberaft up --dir {layout.root}")


def _preview(file: Path, layout: Layout, to_revision: int, output: Output) -> None:
    import json
    from datetime import UTC, datetime

    from components.cluster import preview

    found = preview.preview(file, layout, to_revision, datetime.now(UTC))
    print(json.dumps(preview.as_json(found), indent=2) if output is Output.JSON else preview.as_text(found))
