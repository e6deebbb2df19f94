"""`kuberaft status`: members, leader, term, applied index, revision, lag, processes, nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from components.cluster.layout import Layout
from components.cluster.options import Dir, ask


class Output(StrEnum):
    """Formats of `-o`."""

    TABLE = "table"
    JSON = "json"


def command(
    directory: Dir = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
) -> None:
    """Show the cluster's members, processes and nodes."""
    answer = ask(Layout.at(directory), "status")
    if output is Output.JSON:
        import json

        print(json.dumps(answer, indent=2))
        return
    import msgspec

    from components.cluster.status import ClusterStatus
    from components.cluster.view import console, render

    terminal = console()
    terminal.print(render(msgspec.convert(answer, ClusterStatus), terminal.width))
