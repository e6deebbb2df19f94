"""`kuberaft story deployment/web`: from the request to the process, in order."""

from __future__ import annotations

from typing import Annotated

import typer

from components.cluster.commands.status import Output
from components.cluster.commands.why import Kubeconfig, Namespace
from components.cluster.options import Dir


def command(
    target: Annotated[
        str, typer.Argument(help="KIND/NAME, for example deployment/web.", metavar="KIND/NAME")
    ],
    namespace: Namespace = "default",
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
    directory: Dir = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Tell what happened to an object and to what it owns."""
    from components.insight import ask, terminal

    answer = ask.story(ask.kubeconfig_of(directory, kubeconfig), ask.target_of(target, namespace))
    terminal.show(answer, terminal.story, as_json=output is Output.JSON)
