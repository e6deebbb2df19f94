"""`kuberaft up`: start a cluster here (Ctrl-C stops it), or in the background (`--detach`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir
from components.cluster.topology import (
    MAX_WORKERS,
    Topology,
    with_api_port,
    with_backup,
    with_fault_injection,
    with_workers,
)


def command(
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="single, ha, encrypted, large, or the path of a topology file.",
            show_default="ha",
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
    backup_dir: Annotated[
        Path | None, typer.Option("--backup-dir", help="Write backups there on a schedule.")
    ] = None,
    backup_schedule: Annotated[
        str | None,
        typer.Option("--backup-schedule", help='An interval ("6h"), or cron in UTC ("0 3 * * *").'),
    ] = None,
    backup_keep: Annotated[
        int | None, typer.Option("--backup-keep", min=1, help="How many of the newest backups stay.")
    ] = None,
    lifeline: Annotated[int | None, typer.Option("--lifeline-fd", hidden=True)] = None,
    notify: Annotated[int | None, typer.Option("--notify-fd", hidden=True)] = None,
) -> None:
    """Start a cluster and show it until Ctrl-C, which stops everything."""
    from components.cluster import run

    layout = Layout.at(directory)
    backups = Backups(
        None if backup_dir is None else str(backup_dir.absolute()), backup_schedule, backup_keep
    )
    topology = _topology(layout, config, workers, api_port, backups)
    if faults:
        topology = _with_faults(layout, topology)
    if detach:
        flags = [*backups.flags(), *(["--enable-fault-injection"] if faults else [])]
        run.in_background(layout, config, workers, api_port, flags)
    elif notify is not None:
        run.as_daemon(layout, topology, notify, lifeline)
    else:
        run.in_foreground(layout, topology)


class Backups(NamedTuple):
    """What the flags say; None leaves it to the topology."""

    directory: str | None
    schedule: str | None
    keep: int | None

    def flags(self) -> list[str]:
        given = zip(("--backup-dir", "--backup-schedule", "--backup-keep"), self, strict=True)
        return [word for flag, value in given if value is not None for word in (flag, str(value))]


def _topology(
    layout: Layout, config: str | None, workers: int | None, api_port: int | None, backups: Backups
) -> Topology | None:
    """What was asked for; None for "what is there, else the default"."""
    from components.cluster import topology_file

    if config is None and workers is None and api_port is None and not backups.flags():
        return None
    if config is not None:
        topology = topology_file.load(topology_file.find(config))
    elif layout.exists():
        topology = topology_file.load(layout.topology)
    else:
        topology = topology_file.load(topology_file.find("ha"))
    if workers is not None:
        topology = with_workers(topology, workers)
    if api_port is not None:
        topology = with_api_port(topology, api_port)
    return _with_backups(topology, backups)


def _with_backups(topology: Topology, backups: Backups) -> Topology:
    from components.cluster import topology_file

    if backups.flags() and topology.backup is None and backups.directory is None:
        raise ClusterError("where are the backups to go?", "name a directory: --backup-dir DIR")
    changed = with_backup(topology, backups.directory, backups.schedule, backups.keep)
    return topology_file.parse(topology_file.dump(changed), "the flags")


def _with_faults(layout: Layout, asked: Topology | None) -> Topology:
    """What was asked for, else what is there, else the default; with fault injection."""
    from components.cluster import topology_file

    if asked is None:
        asked = topology_file.load(layout.topology if layout.exists() else topology_file.find("ha"))
    return with_fault_injection(asked)
