"""The `kuberaft` command: one subcommand a file in `commands`; errors become two lines and exit code 1.

Nothing heavy is imported here: a subcommand imports what it needs when it runs.
"""

from __future__ import annotations

import sys

import typer

from components.cluster.commands import (
    backup,
    certs,
    dashboard,
    down,
    drill,
    fault,
    kill,
    kubeconfig,
    logs,
    restore,
    start,
    status,
    story,
    tour,
    up,
    why,
)
from components.cluster.errors import ClusterError

app = typer.Typer(
    name="kuberaft",
    help="A Kubernetes cluster of several masters on this machine, on its own replicated store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(up.command)
app.command("down")(down.command)
app.command("status")(status.command)
app.command("kill")(kill.command)
app.command("start")(start.command)
app.command("logs")(logs.command)
app.command("kubeconfig")(kubeconfig.command)
app.command("backup")(backup.command)
app.command("restore")(restore.command)
app.add_typer(certs.app, name="certs")
app.command("dashboard")(dashboard.command)
app.command("tour")(tour.command)
app.command("why")(why.command)
app.command("story")(story.command)
app.add_typer(fault.app, name="fault")
app.command("drill")(drill.command)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 it could not be done (the error says why), 2 wrong usage."""
    try:
        app()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except TimeoutError:
        print(
            "error: the cluster did not answer in time\n  look at its log: kuberaft logs supervisor",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
