"""`kuberaft kubeconfig`: print the kubeconfig, or merge it into the user's own."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir


def command(
    merge: Annotated[bool, typer.Option("--merge", help="Add it to $KUBECONFIG or ~/.kube/config.")] = False,
    directory: Dir = None,
) -> None:
    """Print the cluster's kubeconfig."""
    layout = Layout.at(directory)
    try:
        content = layout.kubeconfig.read_bytes()
    except OSError as error:
        raise ClusterError(
            f"{layout.kubeconfig}: {error.strerror}", "start the cluster first: kuberaft up"
        ) from error
    if not merge:
        sys.stdout.write(content.decode())
        return
    from components.cluster.kubeconfigs import merge_into, user_file

    target = user_file()
    context = merge_into(target, content)
    print(f"{target}: context {context} added and made current")
