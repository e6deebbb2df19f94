"""A master process (`python -m components.master --config FILE`).

Store member, API server, scheduler and controller manager in one. Composition root, started by the
supervisor. All four share one event loop; scheduler and controllers speak to this master's own API server
and lead through Leases. The process ends when the store can no longer work (its disk failed) or the API
server cannot serve: what leads elsewhere takes over. Told to end by SIGTERM, it gives up its offices at once
and goes on serving for a moment, so that nobody notices; SIGINT ends it without that moment.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apiserver.api.journal import Journal
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.http.scope import Placement
from apiserver.policy_status import PolicyStatus
from apiserver.server import ApiServer
from apiserver.storage.embedded import EmbeddedStorage
from components import processes
from components.client import kubeconfig
from components.client.activity import Activity
from components.client.leaderelection import ElectionTimes, LeadershipLost
from components.cluster import handover
from components.cluster.admin import Admin
from components.cluster.config import ApiConfig, MasterConfig, load
from components.cluster.errors import ClusterError
from components.cluster.plan import FRONT_PROXY
from components.cluster.stalls import StallWatch
from components.controllers.app import ElectionOptions, run_controller_manager
from components.controllers.options import ControllerOptions
from components.dashboard.drills import Drills
from components.dashboard.extension import Pages
from components.insight.endpoints import Insight
from components.proxy.sockets import may_listen
from components.scheduler.app import SchedulerOptions, run_scheduler
from kvstore.config import MemberConfig
from kvstore.errors import StoreError
from kvstore.member import Member
from kvstore.raft.config import TlsFiles

if TYPE_CHECKING:
    from apiserver.http.extension import Extension
    from kvstore.server.embedded import ClientPort

logger = logging.getLogger(__name__)

HTTPS_PORT = 443


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point, also of the process starter."""
    parser = processes.parser("components.master", "A master of a local cluster.")
    options = parser.parse_args(arguments)

    async def work() -> None:
        await run(load(options.config, MasterConfig), options.verbosity)

    return processes.run(work, options.verbosity)


async def run(config: MasterConfig, verbosity: int = 2) -> None:
    """Until SIGTERM, and then to the orderly end; or until cancelled, which ends it without delay.

    Raises ClusterError when the store or a port cannot be opened.
    """
    leaving = _leaving_on_sigterm()
    member, stalls = Member(member_config(config)), StallWatch()
    admin = Admin(member, stalls)
    try:
        await member.start()
    except (StoreError, OSError) as error:
        raise ClusterError(
            f"{config.store.data_dir}: the store cannot start: {error}",
            "mend what it names; a damaged store is put back from a backup: kuberaft restore FILE",
        ) from error
    socket = admin.server(Path(config.admin_socket))
    try:
        await socket.start()
        async with _client_port(config, member), asyncio.TaskGroup() as group:
            watching = (
                group.create_task(stalls.run(), name="stalls"),
                group.create_task(_fail_with(member), name="store"),
            )
            await _serve(api_config(config, verbosity), config, member, admin, leaving)
            for task in watching:
                task.cancel()
    finally:
        await socket.stop()
        await member.stop()


def _leaving_on_sigterm() -> asyncio.Event:
    """Set by the first SIGTERM; a second one cancels, as SIGINT does."""
    leaving, task = asyncio.Event(), asyncio.current_task()

    def told() -> None:
        if leaving.is_set() and task is not None:
            task.cancel()
        leaving.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told)
    return leaving


@asynccontextmanager
async def _client_port(config: MasterConfig, member: Member) -> AsyncIterator[None]:
    """For etcd's clients, if the topology asks for it: with the store's own authority on both sides."""
    store = config.store
    if not store.client_address:
        yield
        return
    from kvstore.server.certificates import Files
    from kvstore.server.embedded import ClientPort

    files = Files(Path(store.tls.cert), Path(store.tls.key), Path(store.ca))
    port = ClientPort(member, f"https://{store.client_address}", files)
    try:
        await _open(port)
        yield
    finally:
        await port.stop()


async def _open(port: ClientPort) -> None:
    from kvstore.server.certificates import BadCertificate

    try:
        await port.start()
    except (OSError, BadCertificate) as error:
        raise ClusterError(
            f"the store's client port cannot be opened: {error}",
            "free the port, or leave out store.clientPort",
        ) from error


async def _serve(
    api: ApiServerConfig, config: MasterConfig, member: Member, admin: Admin, leaving: asyncio.Event
) -> None:
    """Returns after the orderly end that ``leaving`` asks for. Raises what ended scheduler or controllers."""
    activity = Activity(Journal(config.name, _utc_now))
    try:
        server = ApiServer(api, EmbeddedStorage(member), _dashboard(config), journal=activity.journal)
    except ConfigError as error:
        raise ClusterError(str(error), "mend that file, then start this master again") from error
    server.services.placement = partial(_placement, member)
    insight = Insight(server.services, member, activity, _utc_now)
    server.extend(insight)
    waiting = asyncio.create_task(leaving.wait(), name="leaving")
    leading: asyncio.Task[None] | None = None
    try:
        await server.start()
        admin.synced = lambda: server.synced
        admin.furnished = server.furnished
        server.services.metrics.more = admin.metrics
        insight.ready = lambda: server.synced and not admin.draining and member.leader_id is not None
        leading = asyncio.create_task(_lead(config, server, activity), name="scheduler and controllers")
        admin.resign = partial(_resign, admin, server, leading)
        await asyncio.wait({leading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if leading.done() and not admin.draining:
            leading.result()
        await leaving.wait()  # one that has resigned goes on serving
        admin.draining = True
        await asyncio.gather(server.drain(), _ended(leading), handover.hand_over(member))
    finally:
        admin.draining = True
        await _ended(waiting)
        if leading is not None:
            await _ended(leading)
        await insight.close()
        await server.stop()


async def _resign(admin: Admin, server: ApiServer, leading: asyncio.Task[None]) -> None:
    """Leads nothing any more, and is no endpoint of the cluster's."""
    admin.draining = True
    await asyncio.gather(_ended(leading), server.withdrawn())


def _dashboard(config: MasterConfig) -> list[Extension]:
    """What the page at `/ui` needs beside the API and the endpoints of insight."""
    drills = [Drills(Path(config.supervisor_socket))] if config.supervisor_socket else []
    return [Pages(), *drills]


def _placement(member: Member, revision: int) -> Placement | None:
    """Where this member's log has a revision that it has applied."""
    found = member.entry_of(revision)
    return None if found is None else Placement(*found, member.member_name(member.leader_id))


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def _lead(config: MasterConfig, server: ApiServer, activity: Activity) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(PolicyStatus(server.services).run(), name="status of policies")
        group.create_task(_run_scheduler(config, activity), name="scheduler")
        group.create_task(_run_controllers(config, activity), name="controllers")


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait for its end; leases it holds are released meanwhile."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _fail_with(member: Member) -> None:
    failure = await member.wait_failure()
    raise ClusterError(f"the store failed: {failure}", "check the disk, then start this master again")


async def _run_scheduler(config: MasterConfig, activity: Activity) -> None:
    election = config.election
    times = ElectionTimes(election.lease_duration, election.renew_deadline, election.retry_period)
    options = SchedulerOptions(
        election=times,
        identity=config.name,
        # Three masters share one machine: only who leads keeps pods and nodes in memory and reads every change.
        delay_cache_until_active=True,
        activity=activity,
    )
    await run_scheduler(kubeconfig.load(config.scheduler_kubeconfig), options)


async def _run_controllers(config: MasterConfig, activity: Activity) -> None:
    """A lost lease starts them over, standing by, where the original's process would end and be restarted."""
    election = ElectionOptions(
        lease_duration=config.election.lease_duration,
        renew_deadline=config.election.renew_deadline,
        retry_period=config.election.retry_period,
        identity=config.name,
    )
    root_ca = await asyncio.to_thread(Path(config.root_ca).read_text)
    options = ControllerOptions(
        node_monitor_period=config.node_timing.monitor_period,
        node_monitor_grace_period=config.node_timing.monitor_grace_period,
        root_ca=root_ca,
        root_ca_file=Path(config.root_ca),
        cluster_signing_cert_file=Path(config.root_ca),
        cluster_signing_key_file=Path(config.signing_key),
    )
    client_config = kubeconfig.load(config.controllers_kubeconfig)
    while True:
        try:
            await run_controller_manager(client_config, options, election, activity)
        except LeadershipLost as lost:
            logger.warning("%s; standing by", lost)


def member_config(config: MasterConfig) -> MemberConfig:
    """The store member's settings from the master's."""
    store = config.store
    members = {name: _address(text) for name, text in store.initial_cluster.items()}
    return MemberConfig(
        name=config.name,
        data_dir=Path(store.data_dir),
        initial_cluster=members,
        listen=_address(store.peer_address) if store.peer_address else members[config.name],
        cluster_token=store.cluster_token,
        tls=TlsFiles(Path(store.tls.cert), Path(store.tls.key), Path(store.ca)),
        quota_bytes=store.quota_bytes,
        heartbeat_interval=store.heartbeat_interval,
        election_timeout=store.election_timeout,
        unsafe_no_fsync=not store.fsync,
        dial_from=store.dial_from,
        client_urls=(f"https://{store.client_address}",) if store.client_address else (),
    )


def api_config(config: MasterConfig, verbosity: int = 2) -> ApiServerConfig:
    """The API server's settings from the master's."""
    api = config.api
    toleration = round(api.eviction_toleration)
    return ApiServerConfig(
        bind_address=api.bind_address,
        secure_port=api.secure_port,
        advertise_address=api.bind_address,
        tls_cert_file=Path(api.tls.cert),
        tls_private_key_file=Path(api.tls.key),
        client_ca_file=Path(api.client_ca),
        authorization_mode=("Node", "RBAC"),
        service_cluster_ip_range=api.service_cluster_ip_range,
        kubernetes_service_port=_service_port(api),
        service_account_issuer=(api.service_account_issuer,),
        service_account_key_file=(Path(api.service_account_public_key),),
        service_account_signing_key_file=Path(api.service_account_key),
        kubelet_client_certificate=Path(api.kubelet_client.cert),
        kubelet_client_key=Path(api.kubelet_client.key),
        kubelet_certificate_authority=Path(api.client_ca),
        **_front_proxy(api),
        allow_loopback_endpoints=True,
        enable_fault_injection=api.enable_fault_injection,
        shutdown_delay_duration=api.shutdown_delay,
        verbosity=verbosity,
        encryption_provider_config=Path(api.encryption_config) if api.encryption_config else None,
        encryption_provider_config_automatic_reload=bool(api.encryption_config),
        default_not_ready_toleration_seconds=toleration,
        default_unreachable_toleration_seconds=toleration,
    )


def _front_proxy(api: ApiConfig) -> dict[str, Any]:
    """How extension API servers are spoken to. At their endpoints: nobody listens at cluster IPs where the proxies of
    this user may not have port 443."""
    if api.proxy_client is None:
        return {}
    return {
        "requestheader_client_ca_file": Path(api.front_proxy_ca),
        "requestheader_allowed_names": (FRONT_PROXY,),
        "requestheader_uid_headers": ("X-Remote-Uid",),
        "proxy_client_cert_file": Path(api.proxy_client.cert),
        "proxy_client_key_file": Path(api.proxy_client.key),
        "enable_aggregator_routing": True,
    }


def _service_port(api: ApiConfig) -> int:
    """443, as everywhere, unless the proxies of this user cannot serve it: then the API server's own port, so
    that KUBERNETES_SERVICE_HOST and _PORT work in pods."""
    return HTTPS_PORT if may_listen(HTTPS_PORT) else api.secure_port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    sys.exit(main())
