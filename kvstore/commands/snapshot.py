"""`kvstore snapshot save | status | restore`, with the flags of etcdctl and etcdutl.

save      a member -> FILE                 kvstore.commands.save
status    FILE -> hash, revision, size     kvstore.bolt.status
restore   FILE -> data directory           kvstore.bolt.restore
          FILE and a live cluster -> what would change (--preview)   kvstore.commands.preview
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kvstore.backup import REVISION_BUMP
from kvstore.commands.options import (
    DEFAULT_ENDPOINTS,
    CaCert,
    Cert,
    DialTimeout,
    Endpoints,
    Key,
    Password,
    User,
    new_app,
    run,
)

app = new_app("snapshot", "Save, check and restore snapshots of the store; the files are etcd's.")

File = Annotated[Path, typer.Argument(metavar="FILE")]
Format = Annotated[str, typer.Option("--write-out", "-w", help="simple, json or table.")]


def main(arguments: Sequence[str]) -> int:
    return run(app, arguments)


@app.command("save")
def save_command(
    file: File,
    endpoints: Endpoints = DEFAULT_ENDPOINTS,
    cacert: CaCert = None,
    cert: Cert = None,
    key: Key = None,
    user: User = "",
    password: Password = "",
    dial_timeout: DialTimeout = "2s",
) -> None:
    """Save the store of the first endpoint that answers."""
    from kvstore.commands.connection import target
    from kvstore.commands.progress import shown
    from kvstore.commands.save import save

    where = target(endpoints, cacert, cert, key, user, password, dial_timeout)
    with shown(f"saving {file}") as progress:
        asyncio.run(save(where, file, progress))
    print(f"Snapshot saved at {file}")


@app.command("status")
def status_command(file: File, write_out: Format = "simple") -> None:
    """Check a snapshot file, offline, and print its hash, revision, number of keys and size."""
    from kvstore.bolt.status import status
    from kvstore.commands.tables import human_size, table

    found = status(file)
    if write_out == "json":
        fields = {"hash": found.hash, "revision": found.revision, "totalKey": found.keys}
        print(json.dumps(fields | {"totalSize": found.size, "version": found.version}))
        return
    cells = [f"{found.hash:x}", str(found.revision), str(found.keys), human_size(found.size)]
    if write_out == "table":
        print(table(["hash", "revision", "total keys", "total size"], [cells]))
        return
    print(", ".join(cells))


@app.command("restore")
def restore_command(
    file: File,
    data_dir: Annotated[Path | None, typer.Option(help="To fill; NAME.etcd where not given.")] = None,
    name: Annotated[str, typer.Option(help="Of this member.")] = "default",
    initial_cluster: Annotated[
        str, typer.Option(help="NAME=URL of every member of the new cluster.")
    ] = "default=http://localhost:2380",
    initial_cluster_token: Annotated[
        str, typer.Option(help="Of the new cluster; give its members the same when they start.")
    ] = "etcd-cluster",
    initial_advertise_peer_urls: Annotated[
        str, typer.Option(help="This member's.")
    ] = "http://localhost:2380",
    bump_revision: Annotated[
        int, typer.Option(min=0, help="Added to the revision: more than clients may have seen since.")
    ] = REVISION_BUMP,
    mark_compacted: Annotated[
        bool, typer.Option(help="Tell clients that know older revisions to read again.")
    ] = True,
    skip_hash_check: Annotated[
        bool, typer.Option("--skip-hash-check", help="Accept a file without a matching checksum.")
    ] = False,
    mixed: Annotated[
        bool,
        typer.Option("--mixed", help="Let members restored from different snapshots form one cluster."),
    ] = False,
    other_cluster: Annotated[
        bool, typer.Option("--other-cluster", help="Accept a snapshot of a cluster with other members.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Change nothing; compare with the cluster at --endpoints.")
    ] = False,
    depth: Annotated[int, typer.Option(min=0, help="Of the prefixes that --preview groups by.")] = 2,
    write_out: Format = "table",
    endpoints: Endpoints = DEFAULT_ENDPOINTS,
    cacert: CaCert = None,
    cert: Cert = None,
    key: Key = None,
    user: User = "",
    password: Password = "",
    dial_timeout: DialTimeout = "2s",
) -> None:
    """Make the data directory of a new cluster's member. Use the same file for all its members."""
    if preview:
        from kvstore.commands.connection import target
        from kvstore.commands.preview import show

        where = target(endpoints, cacert, cert, key, user, password, dial_timeout)
        asyncio.run(show(file, where, depth, write_out, other_cluster=other_cluster))
        return
    from kvstore.bolt.restore import Options, restore
    from kvstore.commands.clusters import names_of

    names = names_of(name, initial_cluster, initial_advertise_peer_urls)
    directory = data_dir or Path(f"{name}.etcd")
    options = Options(bump_revision, mark_compacted, skip_hash_check, mixed, other_cluster)
    done = restore(file, directory, names, options)
    print(f"{directory}: restored {done.content.keys} keys of revision {done.content.revision}")
    print(f"the new cluster begins at revision {done.revision}; start this member with")
    print(f"  --name {name} --data-dir {directory} --initial-cluster {initial_cluster}", end=" ")
    print(f"--initial-cluster-token {initial_cluster_token}")
