"""`kuberaft certs check` and `kuberaft certs renew`: the life of a cluster's certificates."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir, ask

if TYPE_CHECKING:
    from components.cluster.certificates import Certificate

RENEW_SECONDS = 60.0
app = typer.Typer(no_args_is_help=True, help="Check and renew the certificates of the cluster.")


class Output(StrEnum):
    """Formats of `-o`."""

    TABLE = "table"
    JSON = "json"


@app.command("check")
def check(
    directory: Dir = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
    within: Annotated[
        int, typer.Option("--within", min=0, metavar="DAYS", help="What ends sooner makes the exit status 1.")
    ] = 30,
) -> None:
    """Show every certificate of the cluster, running or not. Exit status 1 when one ends soon or is no good."""
    from datetime import UTC, datetime, timedelta

    from components.cluster.certificates import urgent
    from components.cluster.inventory import inventory

    found = inventory(Layout.at(directory), datetime.now(UTC))
    chosen = urgent(found, timedelta(days=within))
    if output is Output.JSON:
        import json

        import msgspec

        print(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        _print(found)
    if chosen:
        raise typer.Exit(1)


def _print(found: list[Certificate]) -> None:
    from kvstore.commands.tables import table

    rows = [
        [c.name, c.use, c.subject, c.issuer, c.expires, "" if c.days_left is None else str(c.days_left)]
        for c in found
    ]
    print(table(["certificate", "use", "for", "issuer", "expires", "days left"], rows))
    for certificate in found:
        if certificate.problem:
            print(f"{certificate.name}: {certificate.problem}")


@app.command("renew")
def renew(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="As certs check names them: apiserver-m1.")
    ] = None,
    directory: Dir = None,
    everything: Annotated[bool, typer.Option("--all", help="Every certificate but the authorities.")] = False,
    authorities: Annotated[
        bool, typer.Option("--ca", help="New authorities, and everything by them; the old ones stay trusted.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old-ca", help="Trust the old authorities no more, once nobody needs them.")
    ] = False,
    token_key: Annotated[
        bool,
        typer.Option(
            "--token-key", help="A new key for service account tokens; those of the old one stay good."
        ),
    ] = False,
    drop_tokens: Annotated[
        bool, typer.Option("--drop-old-token-keys", help="Refuse the tokens of the old keys.")
    ] = False,
) -> None:
    """Issue certificates anew; a running cluster takes them up at once, without a restart."""
    layout = Layout.at(directory)
    steps = {
        _renew_authorities: authorities,
        _drop_old: drop_old,
        _exchange_token_key: token_key,
        _drop_token_keys: drop_tokens,
    }
    chosen = [step for step, wanted in steps.items() if wanted]
    if bool(names) + everything + len(chosen) != 1:
        raise ClusterError(
            "what is to be renewed?",
            "name certificates (kuberaft certs check lists them), or use one of --all, --ca, --drop-old-ca, "
            "--token-key and --drop-old-token-keys",
        )
    if chosen:
        chosen[0](layout)
    else:
        _renew(layout, names or [])


def _renew(layout: Layout, names: list[str]) -> None:
    from components.cluster import ipc, renewal

    try:
        issued = ask(layout, "renew-certificates", names=names, timeout=RENEW_SECONDS)
    except ipc.NotRunning:
        print(*renewal.renew_stopped(layout, names), sep="\n")
        return
    _show(layout, issued)


def _show(layout: Layout, issued: list[str]) -> None:
    from components.cluster import renewal

    served = renewal.wait(layout, issued)
    places = {name: [one for one in served if one.name == name] for name in issued}
    for name, found in places.items():
        print(name, *(f"{one.where} {one.state}" for one in found), sep="  ")
    behind = [f"{one.where} ({one.name}) {one.state}" for one in served if one.behind]
    if behind:
        raise ClusterError(
            f"renewed, but not taken up everywhere: {', '.join(behind)}",
            "look at the logs of these processes: kuberaft logs NAME",
        )


def _renew_authorities(layout: Layout) -> None:
    from components.cluster import ipc, renewal

    try:
        issued = ask(layout, "exchange-authorities", timeout=RENEW_SECONDS)
    except ipc.NotRunning:
        print(*renewal.renew_authorities(layout), sep="\n")
        print(f"copies of {layout.kubeconfig} trust the old authority: make new ones (kuberaft kubeconfig)")
        return
    _show(layout, issued)
    print(
        f"the old authorities stay trusted. Replace copies of {layout.kubeconfig} when it suits, and then:\n"
        "kuberaft certs renew --drop-old-ca"
    )


def _drop_old(layout: Layout) -> None:
    from components.cluster import ipc, renewal

    try:
        ask(layout, "drop-authorities", timeout=RENEW_SECONDS)
    except ipc.NotRunning:
        renewal.drop_stopped(layout)
    print("the old authorities are trusted no more")


def _exchange_token_key(layout: Layout) -> None:
    from components.cluster import ipc, renewal

    try:
        ask(layout, "exchange-token-key", timeout=RENEW_SECONDS)
    except ipc.NotRunning:
        renewal.exchange_token_key_stopped(layout)
    print(
        "a new key signs the tokens of service accounts; those of the old one stay good.\n"
        "Once the longest of them has ended (pods get new ones within an hour):\n"
        "kuberaft certs renew --drop-old-token-keys"
    )


def _drop_token_keys(layout: Layout) -> None:
    from components.cluster import ipc, renewal

    try:
        ask(layout, "drop-token-keys", timeout=RENEW_SECONDS)
    except ipc.NotRunning:
        renewal.drop_token_keys_stopped(layout)
    print("tokens of the old keys are refused")
