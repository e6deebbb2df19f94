"""`kuberaft tour`: see a cluster lose a master and a worker, and keep its promises."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir


def command(
    directory: Dir = None,
    temporary: Annotated[
        bool, typer.Option("--temporary", help="On a cluster of its own, deleted afterwards.")
    ] = False,
) -> None:
    """Walk through what a cluster can do: on the running one, or on a temporary one when none runs."""
    from components.cluster import ipc, run, stopping

    layout = Layout.at(directory)
    if not temporary:
        try:
            asyncio.run(ipc.call(layout.socket, "status"))
        except ipc.NotRunning:
            temporary = True
    if not temporary:
        asyncio.run(_tour(layout, owns_cluster=False))
        return
    with tempfile.TemporaryDirectory(prefix="kuberaft-tour-") as place:
        own = Layout.at(Path(place) / "cluster")
        print(f"no cluster is running in {layout.root}: the tour starts one of its own")
        try:
            run.in_background(own, None, None, 0)
            asyncio.run(_tour(own, owns_cluster=True))
        finally:
            if own.exists():
                stopping.stop(own)


async def _tour(layout: Layout, *, owns_cluster: bool) -> None:
    from components.client.errors import ApiError
    from components.client.transport import ApiClient
    from components.cluster.tour.chapters import CHAPTERS
    from components.cluster.tour.guide import Guide
    from components.cluster.view import console

    async with ApiClient.from_kubeconfig(layout.kubeconfig, user_agent="kuberaft-tour") as client:
        guide = Guide(client, layout, console(), owns_cluster=owns_cluster)
        for chapter in CHAPTERS:
            try:
                await chapter(guide)
            except (ApiError, OSError) as error:
                raise ClusterError(f"the tour stopped: {error}", "kuberaft status tells what runs") from error
