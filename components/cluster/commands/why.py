"""`kuberaft why pod/web`: why it is Pending, why it was placed there, why it was restarted, who changed it last."""

from __future__ import annotations

from typing import Annotated

import typer

from components.cluster.commands.status import Output
from components.cluster.options import Dir

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The object's namespace.")]
Kubeconfig = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig", help="Ask this cluster, kuberaft's or any other, in place of that of --dir."
    ),
]


def command(
    target: Annotated[
        str, typer.Argument(help="KIND/NAME, for example pod/web or deploy/web.", metavar="KIND/NAME")
    ],
    namespace: Namespace = "default",
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
    directory: Dir = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Explain the state of an object."""
    from components.insight import ask, terminal

    answer = ask.why(ask.kubeconfig_of(directory, kubeconfig), ask.target_of(target, namespace))
    terminal.show(answer, terminal.explanation, as_json=output is Output.JSON)
