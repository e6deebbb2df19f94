"""The shape of a drill file (P): what is done to a cluster, under which load, and what is promised.

`catalogue` reads one into these structs; `cluster_configs/drills/schema.json` is generated from them. A fault is
one of the `Step` classes, told apart by its field `fault`; `faults.table` says what each does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from components.cluster.quantities import Duration, seconds

Need = Literal[
    "processes", "own-cluster", "peer-links", "nodes", "masters", "endpoints", "own-disks", "own-clock"
]
Target = Annotated[
    str,
    Meta(
        pattern=r"^(leader|follower|any-worker|busy-worker|controllers|scheduler|[mw][1-9][0-9]*)$",
        description="leader or follower of the store; busy-worker: one with pods of the drill; any-worker; "
        "controllers or scheduler: the master that leads them; or a name: m1, w1.",
    ),
]
Whose = Annotated[
    str,
    Meta(
        pattern=r"^(leader|follower|any-worker|busy-worker|[mw][1-9][0-9]*|admin|kube-[a-z-]+)$",
        description="A process, whose certificates are meant; or a certificate of `kuberaft certs check`, as "
        "admin, kube-scheduler, kube-controller-manager, kube-proxy.",
    ),
]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Step(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="fault",
):
    """One fault: begins `at` after the steady state was seen, lasts `for` so long, and is then undone."""

    at: Annotated[Duration, Meta(description="From the beginning of the timeline.")]
    lasts: Annotated[Duration, Meta(description="How long until it is undone.")] = msgspec.field(
        default="2s", name="for"
    )


class Kill(Step, frozen=True, kw_only=True, tag="kill"):
    """The process is killed; undone: started again."""

    target: Target
    signal: Literal["KILL", "TERM"] = "KILL"


class Pause(Step, frozen=True, kw_only=True, tag="pause"):
    """SIGSTOP; undone: SIGCONT. The process believes that no time has passed."""

    target: Target


class Partition(Step, frozen=True, kw_only=True, tag="partition"):
    """Links between masters are cut. `alone`: that master from the others; empty: every master from every other."""

    alone: Target | Literal[""] = ""
    direction: Annotated[
        Literal["both", "out", "in"], Meta(description="out: it is not heard; in: it does not hear.")
    ] = "both"


class Flap(Step, frozen=True, kw_only=True, tag="flap"):
    """The links of one master are cut and mended, over and over."""

    alone: Target
    period: Duration = "300ms"


class FullDisk(Step, frozen=True, kw_only=True, tag="full-disk"):
    """A master can write no more to its files; undone: there is room, and it is started again if it ended."""

    target: Target


class SlowDisk(Step, frozen=True, kw_only=True, tag="slow-disk"):
    """Every fsync of a master's log takes `delay` longer. Ends by itself."""

    target: Target
    delay: Duration = "200ms"


class PowerLoss(Step, frozen=True, kw_only=True, tag="power-loss"):
    """All masters lose power at once: what was not forced to the disk is gone. Undone: started again. Needs root."""

    since_flush: Annotated[
        Duration, Meta(description="How long before the cut the kernel wrote everything out by itself.")
    ] = "500ms"


class LoseData(Step, frozen=True, kw_only=True, tag="lose-data"):
    """A master is killed and its data directory deleted; undone: started again, it copies the others' state."""

    target: Target


class ColdStart(Step, frozen=True, kw_only=True, tag="cold-start"):
    """Every process is killed at once; undone: all are started again, in an order by lot."""

    workers: Annotated[bool, Meta(description="Whether the workers are killed, too.")] = True


class QuorumLoss(Step, frozen=True, kw_only=True, tag="quorum-loss"):
    """All masters but one are killed and their data deleted; undone: a new cluster from the survivor's data."""

    survivor: Literal["leader", "follower"] = "leader"


class Restore(Step, frozen=True, kw_only=True, tag="restore"):
    """A backup is taken at `at`; after `for` all data is lost, and the cluster is restored from the backup."""

    addresses: Annotated[
        Literal["same", "other"],
        Meta(description="other: in another directory, on another port; clients get the new kubeconfig."),
    ] = "same"
    gentle: Annotated[bool, Meta(description="true: nothing was lost, the cluster is stopped in order.")] = (
        False
    )


class RestartEach(Step, frozen=True, kw_only=True, tag="restart-each"):
    """Every master in turn is told to end, waited for, started and waited for. `for` is the pause in between."""

    workers: bool = False


class UpgradeEach(Step, frozen=True, kw_only=True, tag="upgrade-each"):
    """Every process in turn is told to end and started as another version; undone: as the one that it was.

    `for` is the pause in between.
    """

    to: Annotated[
        str,
        Meta(
            description="The Python interpreter that has the new version installed; empty: that of the drill. "
            "The option --to goes before it."
        ),
    ] = ""
    workers: bool = True
    only: Annotated[
        list[Target],
        Meta(description="These, in this order, as a canary; empty: all, masters before workers."),
    ] = []


class ExpireCertificates(Step, frozen=True, kw_only=True, tag="expire-certificates"):
    """Certificates are issued that end after `life`; undone: issued anew, as by `kuberaft certs renew`."""

    whose: Annotated[list[Whose], Meta(min_length=1)]
    life: Annotated[Duration, Meta(description="Time for everybody to take them up before they end.")] = "4s"
    restart: Annotated[
        bool,
        Meta(description="Masters among them are restarted then: no connection from before carries them."),
    ] = True


class Drain(Step, frozen=True, kw_only=True, tag="drain"):
    """A node is cordoned and its pods are evicted, as `kubectl drain`; undone: uncordoned."""

    target: Target = "busy-worker"
    patience: Duration = "60s"


class ClockJump(Step, frozen=True, kw_only=True, tag="clock-jump"):
    """The clock of the day jumps for every process of the cluster; undone: it is right again. Needs libfaketime."""

    by: Annotated[int, Meta(description="Seconds, negative for the past.")] = 3600


class MoveLeader(Step, frozen=True, kw_only=True, tag="move-leader"):
    """The store's leadership is given to another member, through etcd's API."""


class Compact(Step, frozen=True, kw_only=True, tag="compact"):
    """The store's history up to now is thrown away, through etcd's API."""


AnyStep: TypeAlias = (
    Kill
    | Pause
    | Partition
    | Flap
    | FullDisk
    | SlowDisk
    | PowerLoss
    | LoseData
    | ColdStart
    | QuorumLoss
    | Restore
    | RestartEach
    | UpgradeEach
    | ExpireCertificates
    | Drain
    | ClockJump
    | MoveLeader
    | Compact
)


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The hypothesis: each figure's limit. What is left out is measured and promised nothing."""

    write_outage: Annotated[
        Duration | None, Meta(description="Longest time without a successful write (RTO).")
    ] = None
    read_outage: Annotated[Duration | None, Meta(description="Longest time without a successful read.")] = (
        None
    )
    lost_writes: Annotated[
        Count | None,
        Meta(description="Acknowledged writes that are gone (RPO); after a restore: of those in the backup."),
    ] = 0
    error_rate: Annotated[Share | None, Meta(description="Share of operations without an answer.")] = None
    unretried: Annotated[
        Count | None,
        Meta(
            description="Calls through the one address, and writes to the store, that failed and that no client "
            "tries again by itself."
        ),
    ] = None
    failed_requests: Annotated[Count | None, Meta(description="Of the requests to the service.")] = None
    lost_pods: Annotated[
        Count | None, Meta(description="Pods of the service that are gone or were restarted.")
    ] = None
    leader_changes: Annotated[
        Count | None, Meta(description="How often the store's leadership may move.")
    ] = None
    recovery: Annotated[
        Duration | None,
        Meta(description="From the last fault's end until every master, node and controller is at work."),
    ] = "30s"
    watch_lag: Annotated[Duration | None, Meta(description="Longest time from a write to its event.")] = None


class Workload(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Who uses the cluster meanwhile. `pause`: a client's time between two operations, on average."""

    key_clients: Annotated[Count, Meta(description="Compare-and-swap on keys, through etcd's API.")] = 3
    object_clients: Annotated[
        Count,
        Meta(description="On ConfigMaps, through the kubeconfig's address; and one through each master."),
    ] = 3
    watchers: Annotated[Count, Meta(description="Of the keys, and of the objects (informers), each.")] = 2
    service: Annotated[
        bool, Meta(description="A Deployment of two pods behind a Service, and requests to it.")
    ] = True
    pause: Duration = "40ms"


class Cluster(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a cluster of the drill's own is like."""

    workers: Annotated[int, Meta(ge=0, le=20)] = 2
    fsync: Annotated[bool, Meta(description="false: to see what is lost with the power.")] = True


Check = Literal["linearizable", "watches", "revisions", "restored", "upgraded", "certificates"]
SUBJECTS: dict[Check, tuple[type[Step], ...]] = {
    "restored": (Restore, QuorumLoss),
    "upgraded": (UpgradeEach,),
    "certificates": (ExpireCertificates,),
}
"""What a check is about: without such a step it says nothing."""


class Drill(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One drill. `checks` are those of every client's history, whatever the limits."""

    title: Annotated[str, Meta(min_length=1)]
    description: Annotated[str, Meta(min_length=1)]
    timeline: Annotated[list[AnyStep], Meta(min_length=1)]
    hypothesis: Limits = Limits()
    workload: Workload = Workload()
    cluster: Cluster = Cluster()
    checks: tuple[Check, ...] = ("linearizable", "watches", "revisions")
    steady: Annotated[Duration, Meta(description="How long all is well before the timeline begins.")] = "1s"
    calm: Annotated[Duration, Meta(description="How long clients go on after the recovery.")] = "1s"


PROCESSES: frozenset[Need] = frozenset({"processes"})
NEEDS: dict[type[Step], frozenset[Need]] = {
    Kill: PROCESSES,
    Pause: PROCESSES,
    Partition: frozenset({"peer-links"}),
    Flap: frozenset({"peer-links"}),
    FullDisk: PROCESSES,
    SlowDisk: PROCESSES,
    PowerLoss: frozenset({"own-cluster", "own-disks"}),
    LoseData: frozenset({"processes", "masters"}),
    ColdStart: frozenset({"processes", "masters"}),
    QuorumLoss: frozenset({"own-cluster"}),
    Restore: frozenset({"own-cluster"}),
    RestartEach: frozenset({"processes", "masters"}),
    UpgradeEach: frozenset({"processes", "masters"}),
    ExpireCertificates: frozenset({"processes", "masters"}),
    Drain: frozenset({"nodes"}),
    ClockJump: frozenset({"own-cluster", "own-clock"}),
    MoveLeader: frozenset({"endpoints"}),
    Compact: frozenset({"endpoints"}),
}
"""What a step needs of the cluster; `target.Target.offers` says what there is."""


def needs(drill: Drill) -> list[Need]:
    """What the drill needs of a cluster, sorted."""
    return sorted({need for step in drill.timeline for need in NEEDS[type(step)]})


def upgraded_to(drill: Drill, program: str) -> Drill | None:
    """The drill with its upgrades going to that interpreter; None when it has none."""
    if not any(isinstance(step, UpgradeEach) for step in drill.timeline):
        return None
    timeline = [
        msgspec.structs.replace(step, to=program) if isinstance(step, UpgradeEach) else step
        for step in drill.timeline
    ]
    return msgspec.structs.replace(drill, timeline=timeline)


def length(drill: Drill) -> float:
    """Seconds that the timeline takes, by the file; faults that wait for something take longer."""
    ends = (seconds(step.at) + seconds(step.lasts) for step in drill.timeline)
    return seconds(drill.steady) + max(ends) + seconds(drill.calm)


def contradictions(drill: Drill) -> Iterator[tuple[str, str]]:
    """What no single field's type can say: (what is wrong, remedy)."""
    restores = [step for step in drill.timeline if isinstance(step, Restore | QuorumLoss)]
    if len(restores) > 1:
        yield "a drill restores a cluster once at most", "make two drills of it"
    for check, steps in SUBJECTS.items():
        if check in drill.checks and not any(isinstance(step, steps) for step in drill.timeline):
            tags = " or ".join(str(step.__struct_config__.tag) for step in steps)
            yield f"checks: {check} is for drills with the fault {tags}", "leave it out"
    if sum(isinstance(step, ExpireCertificates) for step in drill.timeline) > 1:
        yield "a drill lets certificates end once at most", "name all of them in one step"
    if drill.workload.service and drill.cluster.workers == 0:
        yield "workload.service needs workers", "use cluster.workers: 2, or workload.service: false"
    ordered = sorted(drill.timeline, key=lambda step: seconds(step.at))
    if list(drill.timeline) != ordered:
        yield "the timeline is not in order of `at`", "sort it"
