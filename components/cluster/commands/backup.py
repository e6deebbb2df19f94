"""`kuberaft backup FILE` and `kuberaft backup verify FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout, unusable
from components.cluster.options import Dir, ask

SNAPSHOT_SECONDS = 600.0


def command(
    words: Annotated[list[str], typer.Argument(metavar="[verify] FILE", help="The backup file.")],
    directory: Dir = None,
    survivor: Annotated[
        str, typer.Option("--survivor", help="Of a stopped cluster, from this master's data alone: m1 ...")
    ] = "",
) -> None:
    """Write the running cluster (store, certificates, topology) to one file, or verify such a file."""
    if len(words) == 2 and words[0] == "verify":
        _verify(Path(words[1]))
    elif len(words) == 1 and survivor:
        _from_survivor(Layout.at(directory), survivor, Path(words[0]).absolute())
    elif len(words) == 1:
        _backup(Layout.at(directory), Path(words[0]).absolute())
    else:
        raise ClusterError(f"not understood: {' '.join(words)}", "use: kuberaft backup [verify] FILE")


def _verify(path: Path) -> None:
    from components.cluster import backup

    found = backup.verify(path)
    print(f"{path}: good; cluster {found.name}, revision {found.revision}, taken {found.created}")


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
