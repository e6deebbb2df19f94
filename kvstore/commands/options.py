"""Flags that several subcommands share, named as etcdctl's, and how a command ends.

etcdctl's environment variables (`ETCDCTL_ENDPOINTS`, `ETCDCTL_CACERT`, ...) count where a flag is not given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kvstore.errors import StoreError

Endpoints = Annotated[
    str, typer.Option("--endpoints", envvar="ETCDCTL_ENDPOINTS", help="Addresses, with commas between them.")
]
CaCert = Annotated[
    Path | None, typer.Option("--cacert", envvar="ETCDCTL_CACERT", help="CA of the servers' certificates.")
]
Cert = Annotated[Path | None, typer.Option("--cert", envvar="ETCDCTL_CERT", help="Client certificate.")]
Key = Annotated[Path | None, typer.Option("--key", envvar="ETCDCTL_KEY", help="Key of the certificate.")]
User = Annotated[str, typer.Option("--user", envvar="ETCDCTL_USER", help="NAME or NAME:PASSWORD.")]
Password = Annotated[str, typer.Option("--password", envvar="ETCDCTL_PASSWORD", help="Of the user.")]
DialTimeout = Annotated[
    str, typer.Option("--dial-timeout", envvar="ETCDCTL_DIAL_TIMEOUT", help="To connect, such as 2s.")
]

DEFAULT_ENDPOINTS = "127.0.0.1:2379"


def new_app(name: str, text: str) -> typer.Typer:
    return typer.Typer(
        name=f"kvstore {name}",
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Exit code: 0 done, 1 it could not be done (the error says why), 2 wrong usage."""
    try:
        app(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except (StoreError, OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
