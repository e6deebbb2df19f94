"""Runs a controller manager against an API server, with or without leader election.

Called by `__main__` with flags and by `components.master` with the cluster's configuration.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass

from components.client.activity import Activity
from components.client.kubeconfig import ClientConfig
from components.client.leaderelection import LeaderElector
from components.client.transport import ApiClient
from components.controllers.manager import ControllerManager
from components.controllers.options import ControllerOptions


@dataclass(frozen=True)
class ElectionOptions:
    """Flags --leader-elect...; in seconds. `identity` defaults to host, process and a random part."""

    leader_elect: bool = True
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    resource_name: str = "kube-controller-manager"
    resource_namespace: str = "kube-system"
    identity: str = ""


async def run_controller_manager(
    client_config: ClientConfig,
    options: ControllerOptions,
    election: ElectionOptions = ElectionOptions(),
    activity: Activity | None = None,
) -> None:
    """Until cancelled. Raises LeadershipLost when another instance may have taken over."""
    client = ApiClient(client_config, user_agent="kube-controller-manager")
    try:
        if election.leader_elect:
            await _elector(client, options, election, activity).run()
        else:
            await ControllerManager(client, options, tells=activity).run()
    finally:
        await client.close()


def _elector(
    client: ApiClient, options: ControllerOptions, election: ElectionOptions, activity: Activity | None
) -> LeaderElector:
    async def lead() -> None:
        # A manager per term: what an earlier term had cached must not be acted upon.
        await ControllerManager(client, options, tells=activity).run()

    return LeaderElector(
        client,
        election.resource_name,
        election.identity or f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}",
        lead,
        namespace=election.resource_namespace,
        lease_duration=election.lease_duration,
        renew_deadline=election.renew_deadline,
        retry_period=election.retry_period,
    )
