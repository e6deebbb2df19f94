"""`kuberaft backup FILE`, `kuberaft backup verify FILE` and `kuberaft backup list [DIR]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout, unusable
from components.cluster.options import Dir, ask

SNAPSHOT_SECONDS = 600.0


def command(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[verify] FILE | list [DIR]", help="The backup file, or a directory of them."),
    ],
    directory: Dir = None,
    survivor: Annotated[
        str, typer.Option("--survivor", help="Of a stopped cluster, from this master's data alone: m1 ...")
    ] = "",
) -> None:
    """Write the running cluster (store, certificates, topology) to one file; verify such a file, or list them."""
    if words[0] == "list" and len(words) <= 2:
        _list(Layout.at(directory), Path(words[1]).absolute() if len(words) == 2 else None)
    elif len(words) == 2 and words[0] == "verify":
        _verify(Path(words[1]))
    elif len(words) == 1 and survivor:
        _from_survivor(Layout.at(directory), survivor, Path(words[0]).absolute())
    elif len(words) == 1:
        _backup(Layout.at(directory), Path(words[0]).absolute())
    else:
        raise ClusterError(
            f"not understood: {' '.join(words)}",
            "use: kuberaft backup [verify] FILE, or kuberaft backup list [DIR]",
        )


def _verify(path: Path) -> None:
    from components.cluster import backup

    found = backup.verify(path)
    print(f"{path}: good; cluster {found.name}, revision {found.revision}, taken {found.created}")


def _list(layout: Layout, directory: Path | None) -> None:
    from components.cluster import backup
    from kvstore.commands.tables import human_size, table

    chosen = directory or _scheduled(layout)
    if not chosen.is_dir():
        raise ClusterError(f"{chosen}: there is no such directory", "name another: kuberaft backup list DIR")
    rows = []
    for path in sorted(chosen.glob("*.backup")):
        size = human_size(path.stat().st_size)
        try:
            found = backup.verify(path)
        except ClusterError as error:
            rows.append([path.name, "", "", size, f"no: {error.message.removeprefix(f'{path}: ')}"])
        else:
            rows.append([path.name, found.created, str(found.revision), size, "yes"])
    print(table(["file", "taken", "revision", "size", "verified"], rows) if rows else f"{chosen}: no backups")


def _scheduled(layout: Layout) -> Path:
    from components.cluster import topology_file

    topology = topology_file.load(layout.topology) if layout.exists() else None
    if topology is None or topology.backup is None:
        raise ClusterError(
            f"{layout.root}: no cluster there has scheduled backups",
            "name a directory: kuberaft backup list DIR",
        )
    return Path(topology.backup.directory)


def _backup(layout: Layout, target: Path) -> None:
    from components.cluster import backup

    if not target.parent.is_dir():
        raise ClusterError(
            f"{target.parent}: there is no such directory", "make it first, or name another file"
        )
    name = ask(layout, "status")["name"]
    try:
        with backup.workspace(target.parent) as work:
            ask(layout, "snapshot", file=str(work / "store"), timeout=SNAPSHOT_SECONDS)
            written = backup.write(layout, name, work / "store", target)
    except OSError as error:
        raise unusable(target, error) from error
    _tell(target, written.revision)


def _from_survivor(layout: Layout, name: str, target: Path) -> None:
    """When the other masters are lost for good: what they acknowledged without this one is lost with them."""
    import asyncio

    from components.cluster.survivor import back_up

    _tell(target, asyncio.run(back_up(layout, name, target)).revision)


def _tell(target: Path, revision: int) -> None:
    size = target.stat().st_size / 2**20
    print(f"{target}: {size:.1f} MiB, revision {revision}, verified; keep it safe: it holds keys")
