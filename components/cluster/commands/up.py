"""`kuberaft up`: start a cluster here (Ctrl-C stops it), or in the background (`--detach`)."""

from __future__ import annotations

from typing import Annotated

import typer

from components.cluster.layout import Layout
from components.cluster.options import Dir
from components.cluster.topology import (
    MAX_WORKERS,
    Topology,
    with_api_port,
    with_fault_injection,
    with_workers,
)


def command(
    config: Annotated[
        str | None,
        typer.Option(
            "--config", help="single, ha, large, or the path of a topology file.", show_default="ha"
        ),
    ] = None,
    directory: Dir = None,
    faults: Annotated[
        bool, typer.Option("--enable-fault-injection", help="Let `kuberaft fault` make requests fail.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, max=MAX_WORKERS, help="This many workers.")
    ] = None,
    api_port: Annotated[
        int | None,
        typer.Option("--api-port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all nodes are Ready.")] = False,
    lifeline: Annotated[int | None, typer.Option("--lifeline-fd", hidden=True)] = None,
    notify: Annotated[int | None, typer.Option("--notify-fd", hidden=True)] = None,
) -> None:
    """Start a cluster and show it until Ctrl-C, which stops everything."""
    from components.cluster import run

    layout = Layout.at(directory)
    topology = _topology(layout, config, workers, api_port)
    if faults:
        topology = _with_faults(layout, topology)
    if detach:
        run.in_background(layout, config, workers, api_port, ["--enable-fault-injection"] if faults else [])
    elif notify is not None:
        run.as_daemon(layout, topology, notify, lifeline)
    else:
        run.in_foreground(layout, topology)


def _topology(
    layout: Layout, config: str | None, workers: int | None, api_port: int | None
) -> Topology | None:
    """What was asked for; None for "what is there, else the default"."""
    from components.cluster import topology_file

    if config is None and workers is None and api_port is None:
        return None
    if config is not None:
        topology = topology_file.load(topology_file.find(config))
    elif layout.exists():
        topology = topology_file.load(layout.topology)
    else:
        topology = topology_file.load(topology_file.find("ha"))
    if workers is not None:
        topology = with_workers(topology, workers)
    return topology if api_port is None else with_api_port(topology, api_port)


def _with_faults(layout: Layout, asked: Topology | None) -> Topology:
    """What was asked for, else what is there, else the default; with fault injection."""
    from components.cluster import topology_file

    if asked is None:
        asked = topology_file.load(layout.topology if layout.exists() else topology_file.find("ha"))
    return with_fault_injection(asked)
