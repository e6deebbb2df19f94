"""The shape of a topology file (P): what may be said about a cluster, and the defaults of the rest.

`topology_file` reads one into these structs, `plan` turns them into one configuration per process, and
`cluster_configs/schema.json` is generated from them for editors. Nothing here knows of addresses or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from components.cluster.quantities import Duration, Size, seconds

MAX_SLOT = 31
MAX_WORKERS = 200

Quantity = (
    Annotated[int, Meta(ge=1)]
    | Annotated[
        str,
        Meta(
            pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$",
            description="A Kubernetes quantity: 2, 500m, 4Gi.",
        ),
    ]
)
Name = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40, description="A DNS label."),
]


class Taint(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One taint a worker registers with."""

    key: Annotated[str, Meta(min_length=1)]
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    value: str = ""


class Masters(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The masters: store member, API server, scheduler and controller manager in one process each."""

    count: Annotated[int, Meta(ge=1, le=7, description="An odd number: 3 survive the loss of one.")] = 3
    api_port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Port of the failover endpoint on 127.0.0.1; 0 takes a free one."),
    ] = 6443
    heartbeat_interval: Annotated[
        Duration, Meta(description="Between two heartbeats of the store's leader.")
    ] = "100ms"
    election_timeout: Annotated[
        Duration, Meta(description="Silence of the leader after which the store elects another.")
    ] = "600ms"
    fault_injection: Annotated[
        bool, Meta(description="Lets `kuberaft fault` make requests fail, to test clients.")
    ] = False
    peer_proxies: Annotated[
        bool,
        Meta(description="Masters reach one another through the supervisor, so that drills can cut links."),
    ] = False


class WorkerSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What one worker offers. What is left out is what the machine has."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    pods: Annotated[int, Meta(ge=1, le=240)] | None = None
    labels: dict[str, str] = {}
    taints: list[Taint] = []


class Workers(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The workers w1 ... wN: kubelet and proxy in one process each."""

    count: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] = 2
    template: Annotated[WorkerSpec, Meta(description="What every worker offers.")] = WorkerSpec()
    overrides: Annotated[
        dict[str, WorkerSpec],
        Meta(description="By worker name (w1 ...): fields that replace the template's."),
    ] = {}


class Network(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Which addresses of 127.0.0.0/8 the cluster takes."""

    slot: Annotated[
        Literal["auto"] | Annotated[int, Meta(ge=0, le=MAX_SLOT)],
        Meta(description="Two clusters on a machine need two slots; auto takes the first free one."),
    ] = "auto"


class Image(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One more entry of the process runtime's image catalogue: a name for a command of this machine."""

    name: Annotated[str, Meta(min_length=1, description="What a pod's `image` says.")]
    command: Annotated[
        list[str], Meta(min_length=1, description="The entry point; its first word is a program.")
    ]
    args: list[str] = []
    env: dict[str, str] = {}


class Store(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The replicated store."""

    fsync: Annotated[bool, Meta(description="false is fast and loses data with the power.")] = True
    quota: Annotated[Size, Meta(description="Size at which the store refuses writes.")] = "2Gi"
    client_port: Annotated[
        bool,
        Meta(description="Opens port 2379 of every master for etcd's clients, with client certificates."),
    ] = False


class ApiServer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The API server of every master."""

    encrypt_secrets: Annotated[
        bool, Meta(description="Encrypts Secrets in the store, with a key made for this cluster.")
    ] = False


class Backup(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Backups of the whole cluster on a schedule."""

    directory: Annotated[
        str, Meta(pattern=r"^/", description="An absolute path, best on another disk than the cluster's.")
    ]
    schedule: Annotated[
        str,
        Meta(
            min_length=1,
            description='An interval ("6h"), counted from the newest backup there, or cron in UTC ("0 3 * * *").',
        ),
    ] = "6h"
    keep: Annotated[int, Meta(ge=1, description="How many of the newest stay.")] = 14


class Timing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Timings, shorter than Kubernetes' own (in brackets), so that a drill on a laptop shows its
    effect soon.
    """

    node_status_update_frequency: Annotated[
        Duration, Meta(description="How often a kubelet reports its node's state (10s).")
    ] = "4s"
    node_lease_duration: Annotated[
        Duration, Meta(description="Life of a node's Lease; renewed four times in it (40s).")
    ] = "8s"
    node_monitor_period: Annotated[
        Duration, Meta(description="How often the node controller looks at the nodes (5s).")
    ] = "1s"
    node_monitor_grace_period: Annotated[
        Duration, Meta(description="Silence after which a node is NotReady (50s).")
    ] = "8s"
    pod_eviction_toleration: Annotated[
        Duration,
        Meta(
            description="How long pods stay bound to a NotReady node, unless they say so themselves (300s)."
        ),
    ] = "5s"
    leader_lease_duration: Annotated[
        Duration, Meta(description="Life of the scheduler's and controllers' leader Lease (15s).")
    ] = "4s"
    leader_renew_deadline: Annotated[
        Duration, Meta(description="How long a leader tries to renew before it gives up (10s).")
    ] = "3s"
    leader_retry_period: Annotated[
        Duration, Meta(description="How often candidates look at the leader Lease (2s).")
    ] = "500ms"
    api_shutdown_delay: Annotated[
        Duration,
        Meta(description="How long a master that is told to end still serves, for clients to move on (0s)."),
    ] = "1s"


class Topology(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One cluster."""

    name: Name = "kuberaft"
    masters: Masters = Masters()
    workers: Workers = Workers()
    network: Network = Network()
    images: list[Image] = []
    store: Store = Store()
    timing: Timing = Timing()
    api_server: ApiServer = ApiServer()
    backup: Backup | None = None


def master_names(topology: Topology) -> list[str]:
    """m1 ... mN."""
    return [f"m{n}" for n in range(1, topology.masters.count + 1)]


def worker_names(topology: Topology) -> list[str]:
    """w1 ... wN."""
    return [f"w{n}" for n in range(1, topology.workers.count + 1)]


def worker_spec(topology: Topology, name: str) -> WorkerSpec:
    """The template with the worker's own fields over it; labels are merged, taints replaced."""
    template, own = topology.workers.template, topology.workers.overrides.get(name)
    if own is None:
        return template
    return WorkerSpec(
        cpu=own.cpu or template.cpu,
        memory=own.memory or template.memory,
        pods=own.pods or template.pods,
        labels={**template.labels, **own.labels},
        taints=own.taints or template.taints,
    )


def contradictions(topology: Topology) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What no single field's type can say: (path, what is wrong, remedy) for each."""
    masters, timing = topology.masters, topology.timing
    if masters.count % 2 == 0:
        odd = masters.count - 1
        wrong = f"{masters.count} masters survive no more failures than {odd}"
        yield ("masters", "count"), wrong, f"use {odd} or {masters.count + 1}"
    if seconds(masters.election_timeout) < 3 * seconds(masters.heartbeat_interval):
        wrong = "the election timeout is under three heartbeats, so leaders would be voted out for nothing"
        yield ("masters", "electionTimeout"), wrong, "use at least three times heartbeatInterval"
    for name in topology.workers.overrides:
        if name not in worker_names(topology):
            last = f"w{topology.workers.count}"
            yield (
                ("workers", "overrides", name),
                "there is no such worker",
                f"workers are named w1 ... {last}",
            )
    if seconds(timing.leader_lease_duration) <= seconds(timing.leader_renew_deadline):
        wrong = "a leader would still try to renew when another has taken over"
        yield ("timing", "leaderRenewDeadline"), wrong, "use less than leaderLeaseDuration"
    if seconds(timing.leader_renew_deadline) <= 1.2 * seconds(timing.leader_retry_period):
        wrong = "a leader would give up before its second try"
        yield ("timing", "leaderRetryPeriod"), wrong, "use less than leaderRenewDeadline / 1.2"
    yield from _backup_contradictions(topology.backup)
    if seconds(timing.node_monitor_grace_period) < 2 * seconds(timing.node_lease_duration) / 4:
        wrong = "one late Lease renewal would make a node NotReady"
        yield ("timing", "nodeMonitorGracePeriod"), wrong, "use at least half of nodeLeaseDuration"


def _backup_contradictions(backup: Backup | None) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if backup is None:
        return
    from kvstore.commands import schedule  # it brings the store along, which few commands need

    try:
        schedule.parse(backup.schedule)
    except ValueError:
        wrong = "it is neither an interval of a second or more nor a cron expression"
        yield ("backup", "schedule"), wrong, 'write it as 6h, or as "0 3 * * *"'


def with_backup(
    topology: Topology, directory: str | None, schedule: str | None, keep: int | None
) -> Topology:
    """The topology with these settings of its backups replaced; None leaves one as it is."""
    given = {"directory": directory, "schedule": schedule, "keep": keep}
    chosen = {name: value for name, value in given.items() if value is not None}
    if topology.backup is not None:
        return msgspec.structs.replace(topology, backup=msgspec.structs.replace(topology.backup, **chosen))
    return msgspec.structs.replace(topology, backup=msgspec.convert(chosen, Backup)) if chosen else topology


def with_workers(topology: Topology, count: int) -> Topology:
    """The topology with `count` workers (`kuberaft up --workers N`); overrides of workers beyond are
    dropped.
    """
    names = {f"w{n}" for n in range(1, count + 1)}
    kept = {name: spec for name, spec in topology.workers.overrides.items() if name in names}
    workers = msgspec.structs.replace(topology.workers, count=count, overrides=kept)
    return msgspec.structs.replace(topology, workers=workers)


def with_api_port(topology: Topology, port: int) -> Topology:
    """The topology with its failover endpoint on another port."""
    return msgspec.structs.replace(topology, masters=msgspec.structs.replace(topology.masters, api_port=port))


def with_fault_injection(topology: Topology) -> Topology:
    """The topology with `kuberaft fault` enabled."""
    masters = msgspec.structs.replace(topology.masters, fault_injection=True)
    return msgspec.structs.replace(topology, masters=masters)
