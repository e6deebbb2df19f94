"""`kvstore replace MEMBER --peer-urls URL`: exchange one member of a running cluster, ours or etcd's, for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

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

app = new_app("replace", "Exchange a member of a cluster for a new one.")


def main(arguments: Sequence[str]) -> int:
    return run(app, arguments)


@app.command()
def replace(
    member: Annotated[str, typer.Argument(help="Name or id of the member that is to go.")],
    peer_urls: Annotated[str, typer.Option(help="Of the member that is to come.")],
    timeout: Annotated[str, typer.Option(help="For the new member to start and catch up.")] = "10m",
    endpoints: Endpoints = DEFAULT_ENDPOINTS,
    cacert: CaCert = None,
    cert: Cert = None,
    key: Key = None,
    user: User = "",
    password: Password = "",
    dial_timeout: DialTimeout = "2s",
) -> None:
    """Add the new member as a learner, wait for it, let it vote, remove the old one: in this order, with checks."""
    from kvstore.commands.connection import target
    from kvstore.commands.durations import seconds
    from kvstore.commands.replacing import Wanted
    from kvstore.commands.replacing import replace as do

    where = target(endpoints, cacert, cert, key, user, password, dial_timeout)
    urls = tuple(url.strip() for url in peer_urls.split(",") if url.strip())
    asyncio.run(do(where, Wanted(member, urls, seconds(timeout)), lambda text: print(text, flush=True)))
