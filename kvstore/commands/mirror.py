"""`kvstore mirror --source A --dest B`: keep B's keys what A's are; either may be a real etcd.

Changes arrive in the order of the source's revisions, whole revisions at a time. Several may share one of the
destination's when much is to be copied, unless `--strict-revisions` is given. Leases are not taken over: a
mirrored key stays until the source's is gone, as with etcdctl make-mirror.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kvstore.commands.options import DialTimeout, new_app, run

app = new_app("mirror", "Keep the keys of one store what those of another are.")

Text = Annotated[str, typer.Option()]
OptionalFile = Annotated[Path | None, typer.Option()]


def main(arguments: Sequence[str]) -> int:
    return run(app, arguments)


@app.command()
def mirror(
    source: Annotated[str, typer.Option(help="Endpoints of the store to follow.")],
    dest: Annotated[str, typer.Option(help="Endpoints of the store that follows.")],
    prefix: Annotated[str, typer.Option(help="Only keys that start so.")] = "",
    dest_prefix: Annotated[
        str | None, typer.Option(help="What the keys start with there instead of --prefix.")
    ] = None,
    no_dest_prefix: Annotated[bool, typer.Option("--no-dest-prefix", help="Cut --prefix off.")] = False,
    state: Annotated[
        Path | None, typer.Option(help="File to remember the progress in, so that a new start resumes.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="The destination may have keys; others than the source's go.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Copy, then end instead of following.")] = False,
    strict_revisions: Annotated[
        bool,
        typer.Option(
            "--strict-revisions", help="A revision there for each one here, however many there are: slower."
        ),
    ] = False,
    source_cacert: OptionalFile = None,
    source_cert: OptionalFile = None,
    source_key: OptionalFile = None,
    source_user: Text = "",
    source_password: Text = "",
    dest_cacert: OptionalFile = None,
    dest_cert: OptionalFile = None,
    dest_key: OptionalFile = None,
    dest_user: Text = "",
    dest_password: Text = "",
    dial_timeout: DialTimeout = "2s",
) -> None:
    """Copy everything, in the order of revisions, then follow every change until interrupted."""
    from kvstore.commands.connection import target
    from kvstore.commands.mirroring.plan import Renaming
    from kvstore.commands.mirroring.run import Plan, mirror

    if no_dest_prefix and dest_prefix is not None:
        raise ValueError("--dest-prefix and --no-dest-prefix exclude each other")
    other = "" if no_dest_prefix else prefix if dest_prefix is None else dest_prefix
    plan = Plan(
        target(source, source_cacert, source_cert, source_key, source_user, source_password, dial_timeout),
        target(dest, dest_cacert, dest_cert, dest_key, dest_user, dest_password, dial_timeout),
        Renaming(prefix.encode(), other.encode()),
        state,
        overwrite,
        once,
        strict_revisions,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_until_interrupted(mirror(plan)))


async def _until_interrupted(work: Coroutine[None, None, None]) -> None:
    """SIGTERM and SIGINT end a mirror in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
