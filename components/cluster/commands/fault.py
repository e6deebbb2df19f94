"""`kuberaft fault add|list|clear`: make requests fail on purpose, to see what a client does (docs/faults.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir

if TYPE_CHECKING:
    from components.cluster.faults import Faults

T = TypeVar("T")

app = typer.Typer(help="Make requests fail on purpose, to test clients.", no_args_is_help=True)

Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Of one API server, instead of a cluster's directory.")
]
CODES = ("409", "410", "429", "500", "503", "504")
ACTIONS = {
    "delay": "delay",
    "drop": "drop",
    "watch-stop": "watchStop",
    "watch-expire": "watchExpire",
    "watch-rewind": "watchRewind",
    "watch-delay": "watchDelay",
    "stale": "stale",
    "compact": "compact",
}


@app.command("add")
def add(
    action: Annotated[str, typer.Argument(help=f"{', '.join(CODES)}, or {', '.join(ACTIONS)}.")],
    user: Annotated[list[str] | None, typer.Option(help="Of this user; may be given again.")] = None,
    verb: Annotated[list[str] | None, typer.Option(help="get, list, watch, create, ...")] = None,
    resource: Annotated[list[str] | None, typer.Option(help="pods, pods/status, deployments.apps.")] = None,
    namespace: Annotated[list[str] | None, typer.Option(help="In this namespace.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Of the object.")] = None,
    probability: Annotated[float | None, typer.Option(help="Of each request, 0 to 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Which ones, with --probability.")] = None,
    every: Annotated[int | None, typer.Option(help="Every Nth request.")] = None,
    first: Annotated[int | None, typer.Option(help="The first N requests.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Of delay and watch-delay.")] = None,
    retry_after: Annotated[int | None, typer.Option(help="Seconds, with an error.")] = None,
    after_effect: Annotated[bool, typer.Option("--after-effect", help="When the request is done.")] = False,
    after_events: Annotated[int | None, typer.Option(help="Of a watch: so many events are given.")] = None,
    events: Annotated[int | None, typer.Option(help="How far watch-rewind goes back.")] = None,
    abrupt: Annotated[bool, typer.Option("--abrupt", help="watch-stop cuts the connection.")] = False,
    revisions: Annotated[int | None, typer.Option(help="How far behind a stale read is.")] = None,
    fault: Annotated[str, typer.Option("--as", help="A name for the fault.")] = "",
    directory: Dir = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Add a fault; its name is printed. It stays until it is cleared."""
    from components.cluster.faults import document

    fields = {
        "seconds": seconds,
        "retryAfter": retry_after,
        "afterEffect": after_effect or None,
        "afterEvents": after_events,
        "events": events,
        "abrupt": abrupt or None,
        "revisions": revisions,
    }
    match = {"users": user, "verbs": verb, "namespaces": namespace, "names": name, **_resources(resource)}
    share = {"probability": probability, "seed": seed, "every": every, "first": first}
    wanted = document(_action(action, _given(fields)), _given(match), _given(share), fault)
    added = _with(directory, kubeconfig, lambda faults: faults.add(wanted))
    print(added["metadata"]["name"])


@app.command("list")
def show(
    directory: Dir = None,
    kubeconfig: Kubeconfig = None,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
) -> None:
    """Show the faults, and how many requests they have met."""
    found = _with(directory, kubeconfig, lambda faults: faults.listed())
    if output == "json":
        print(json.dumps(found, indent=2))
        return
    rows = [("NAME", "ACTION", "MATCH", "SHARE", "MATCHED", "INJECTED"), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command("clear")
def clear(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all, if none is named.")] = None,
    directory: Dir = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Remove faults."""

    async def work(faults: Faults) -> list[str]:
        if not names:
            return [fault["metadata"]["name"] for fault in await faults.clear()]
        for name in names:
            await faults.remove(name)
        return names

    for name in _with(directory, kubeconfig, work):
        print(f"{name} cleared")


def _with(directory: Path | None, kubeconfig: Path | None, work: Callable[[Faults], Awaitable[T]]) -> T:
    """Raises ClusterError."""
    from components.client import kubeconfig as files
    from components.client.errors import ApiError
    from components.cluster.faults import Faults, servers_of

    async def run() -> T:
        servers = [files.load(kubeconfig)] if kubeconfig else servers_of(Layout.at(directory))
        async with Faults(servers) as faults:
            return await work(faults)

    try:
        return asyncio.run(run())
    except files.KubeconfigError as error:
        raise ClusterError(str(error), "start the cluster first: kuberaft up") from error
    except ApiError as error:
        raise ClusterError(error.message, _remedy(error.code)) from error


def _remedy(code: int) -> str:
    if code == 403:
        return "use a kubeconfig of system:masters"
    return "start the cluster first: kuberaft up" if code == 0 else "see docs/faults.md"


def _action(word: str, fields: dict[str, Any]) -> dict[str, Any]:
    if word in CODES:
        return {"type": "error", "code": int(word), **fields}
    if word not in ACTIONS:
        raise ClusterError(f"there is no fault {word!r}", f"use one of {', '.join((*CODES, *ACTIONS))}")
    return {"type": ACTIONS[word], **fields}


def _resources(words: list[str] | None) -> dict[str, list[str] | None]:
    """``deployments.apps/status`` is ``deployments/status`` of the group ``apps``."""
    plurals, groups = [], []
    for word in words or ():
        head, _, part = word.partition("/")
        plural, _, group = head.partition(".")
        plurals.append(f"{plural}/{part}" if part else plural)
        groups.append(group)
    return {"resources": plurals or None, "apiGroups": sorted(set(groups)) if any(groups) else None}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _row(fault: dict[str, Any]) -> tuple[str, ...]:
    spec, status = fault["spec"], fault["status"]
    action = {**spec["action"]}
    kind = action.pop("type")
    counts = (str(status["matched"]), str(status["injected"]))
    shown = _words(action)
    return (
        fault["metadata"]["name"],
        f"{kind} {shown}".strip(),
        _words(spec.get("match", {})) or "*",
        _words(spec.get("share", {})) or "all",
        *counts,
    )


def _words(fields: dict[str, Any]) -> str:
    shown = {n: ",".join(v) if isinstance(v, list) else v for n, v in fields.items()}
    return " ".join(f"{name}={value}" for name, value in shown.items() if value not in (False, 0))
