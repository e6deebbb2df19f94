"""`kuberaft dashboard`: open the cluster's dashboard in a browser, logged in.

Two ways: through a door on 127.0.0.1 while the command runs, for which a browser needs no certificate; or, with
`--print`, the address of the cluster itself with a token that is good for an hour.
"""

from __future__ import annotations

import asyncio
import os
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.options import Dir

if TYPE_CHECKING:
    from components.client.kubeconfig import ClientConfig
    from components.dashboard.access import Access


def command(
    directory: Dir = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
    prints: Annotated[
        bool,
        typer.Option("--print", help="Print the cluster's own address with a token for an hour, and end."),
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
) -> None:
    """Open the dashboard in a browser, logged in; Ctrl-C ends the access."""
    asyncio.run(_run(Layout.at(directory), opens, prints, port))


async def _run(layout: Layout, opens: bool, prints: bool, port: int) -> None:
    from components.client import kubeconfig
    from components.client.errors import ApiError
    from components.client.transport import ApiClient
    from components.dashboard.access import Access

    try:
        config = kubeconfig.load(layout.kubeconfig)
    except kubeconfig.KubeconfigError as error:
        raise ClusterError(str(error), "start the cluster first: kuberaft up") from error
    async with ApiClient(config, user_agent="kuberaft-dashboard") as client:
        access = Access(client)
        try:
            await access.prepare()
            if prints:
                print(f"{config.server}/ui/#token={await access.token()}")
                return
            await _serve(config, access, opens, port)
        except ApiError as error:
            raise ClusterError(
                f"the cluster gives no access to its dashboard: {error}", "look at kuberaft status"
            ) from error


async def _serve(config: ClientConfig, access: Access, opens: bool, port: int) -> None:
    from components.dashboard.access import TOKEN_SECONDS
    from components.dashboard.proxy import Proxy

    proxy = Proxy(config, access.token, TOKEN_SECONDS)
    try:
        await proxy.start(port)
    except OSError as error:
        raise ClusterError(
            f"port {port} of 127.0.0.1 cannot be opened: {error.strerror}",
            "name another with --port, or none",
        ) from error
    try:
        print(f"dashboard: {proxy.url}\nCtrl-C ends the access.", flush=True)
        if opens and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            await asyncio.to_thread(webbrowser.open, proxy.once_url)
        await asyncio.Event().wait()
    finally:
        await proxy.stop()
