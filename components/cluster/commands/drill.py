"""`kuberaft drill`: hurt a cluster on purpose while clients use it, and judge what they saw."""

from __future__ import annotations

import contextlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout

if TYPE_CHECKING:
    from components.drills.spec import Drill


class Output(StrEnum):
    """Formats of `drill list -o`."""

    TABLE = "table"
    JSON = "json"


class Network(StrEnum):
    """Values of `--network`."""

    AUTO = "auto"
    NAMESPACE = "namespace"
    PROXIES = "proxies"


class Progress(StrEnum):
    """Formats of `--progress`."""

    TEXT = "text"
    JSON = "json"


def command(
    name: Annotated[str, typer.Argument(help="A drill's name; or: list; or: run FILE.yaml.")],
    file: Annotated[Path | None, typer.Argument(help="The drill file, after run.")] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="On the cluster that runs there, not on one of the drill's own."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="On any Kubernetes cluster.")
    ] = None,
    etcd: Annotated[str, typer.Option("--etcd", help="URLs of the etcd members, with commas between.")] = "",
    etcd_cacert: Annotated[Path | None, typer.Option("--etcd-cacert", help="PEM file, for https.")] = None,
    etcd_cert: Annotated[Path | None, typer.Option("--etcd-cert", help="PEM file, for https.")] = None,
    etcd_key: Annotated[Path | None, typer.Option("--etcd-key", help="PEM file, for https.")] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="So many runs.")] = 1,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, help="Of the first run; 0 is any. The same makes the same choices."),
    ] = 0,
    report: Annotated[
        Path | None, typer.Option("--report", help="Directory for report.json, junit.xml and report.html.")
    ] = None,
    network: Annotated[
        Network,
        typer.Option("--network", help="How links of its own cluster are cut; auto: namespace as root."),
    ] = Network.AUTO,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="Of an upgrade: the Python interpreter that has the new version installed."
        ),
    ] = "",
    progress: Annotated[Progress, typer.Option("--progress", help="text or json lines.")] = Progress.TEXT,
    output: Annotated[Output, typer.Option("--output", "-o", help="Of list: table or json.")] = Output.TABLE,
) -> None:
    """Run a drill: a cluster is hurt while clients use it; exit status 0 only if every promise was kept."""
    if name == "list":
        _list(output)
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what its clients meet is in the report
    from components.drills import catalogue
    from components.drills.live import JsonLines, Terminal, View
    from components.drills.session import Asked, Place, perform

    if (name == "run") == (file is None):
        raise ClusterError("run needs a file, and only run does", "kuberaft drill run FILE.yaml")
    if directory is not None and (kubeconfig is not None or etcd):
        raise ClusterError("--dir and --kubeconfig or --etcd name two clusters", "leave one of them out")
    drill = catalogue.load(file) if file is not None else catalogue.find(name)
    if to:
        drill = _to(drill, to)
    layout = None if directory is None else Layout.at(directory)
    place = Place(layout, kubeconfig, etcd, etcd_cacert, etcd_cert, etcd_key)
    namespace = _enter(network, drill) if place == Place() else False
    title = file.stem if file is not None else name
    asked = Asked(title, drill, place, repeat, seed, report, namespace)
    view: View = JsonLines() if progress is Progress.JSON else Terminal()
    with view:
        outcomes = perform(asked, view.tell)
    view.show(outcomes)
    if not all(outcome.verdict.passed for outcome in outcomes):
        sys.exit(1)


def _to(drill: Drill, program: str) -> Drill:
    from components.drills.spec import upgraded_to

    found = upgraded_to(drill, program)
    if found is None:
        raise ClusterError("--to: this drill upgrades nothing", "leave it out, or run rolling-upgrade")
    return found


def _enter(network: Network, drill: Drill) -> bool:
    """Namespaces of its own for a drill that cuts links or power, where that is possible; whether the network is."""
    from components.drills import links
    from components.drills.spec import needs

    if "own-disks" in needs(drill) and links.possible():
        with contextlib.suppress(
            ClusterError
        ):  # without rights there are no disks either, and the drill says so
            links.enter_mounts()
    if "peer-links" not in needs(drill) or network is Network.PROXIES:
        return False
    if network is Network.AUTO and not links.possible():
        return False
    try:
        links.enter_namespace()
    except ClusterError:
        if network is Network.NAMESPACE:
            raise
        return False  # no rights: proxies need none
    return True


def _list(output: Output) -> None:
    from components.drills import catalogue

    listing = catalogue.listing()
    if output is Output.JSON:
        import json

        print(json.dumps(listing, indent=2))
        return
    from rich.table import Table

    from components.cluster.view import console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("DRILL", "SECONDS", "NEEDS", "TITLE"):
        table.add_column(column, overflow="fold")
    for drill in listing["drills"]:
        table.add_row(drill["name"], str(drill["seconds"]), ", ".join(drill["needs"]), drill["title"])
    console().print(table)
