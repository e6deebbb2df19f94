"""/metrics: etcd's names, types and labels, for what is true of this store (docs/kvstore.md lists them).

Counters and histograms come from `kvstore.telemetry`; what a member can be asked is asked at every scrape;
`process_*` is prometheus-client's. The text is written here, because that library appends `_total` to the name
of every counter and etcd has counters without.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from kvstore import telemetry

if TYPE_CHECKING:
    from kvstore.member import Member
    from kvstore.types import StatusResponse

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True)
class Family:
    """One metric: its samples are (suffix of the name, labels, value)."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


class Seen(NamedTuple):
    """A member at the time of a scrape."""

    member: Member
    status: StatusResponse
    figures: telemetry.Figures


GAUGES: tuple[tuple[str, str, Callable[[Seen], float]], ...] = (
    ("etcd_server_has_leader", "Whether or not a leader exists.", lambda s: bool(s.status.leader)),
    ("etcd_server_is_leader", "Whether or not this member is a leader.", lambda s: s.member.is_leader),
    ("etcd_server_is_learner", "Whether or not this member is a learner.", lambda s: s.status.is_learner),
    (
        "etcd_server_proposals_committed_total",
        "The total number of consensus proposals committed.",
        lambda s: s.status.raft_index,
    ),
    (
        "etcd_server_proposals_applied_total",
        "The total number of consensus proposals applied.",
        lambda s: s.status.raft_applied_index,
    ),
    (
        "etcd_server_quota_backend_bytes",
        "Current backend storage quota size in bytes.",
        lambda s: s.status.db_size_quota,
    ),
    (
        "etcd_mvcc_db_total_size_in_bytes",
        "Total size of the underlying database physically allocated in bytes.",
        lambda s: s.status.db_size,
    ),
    (
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "Total size of the underlying database logically in use in bytes.",
        lambda s: s.status.db_size_in_use,
    ),
    (
        "etcd_debugging_mvcc_current_revision",
        "The current revision of store.",
        lambda s: s.status.header.revision,
    ),
    (
        "etcd_debugging_mvcc_compact_revision",
        "The revision of the last compaction in store.",
        lambda s: s.member.compact_revision(),
    ),
    ("etcd_debugging_mvcc_keys_total", "Total number of keys.", lambda s: s.figures.keys),
    ("etcd_debugging_mvcc_watcher_total", "Total number of watchers.", lambda s: s.figures.watchers),
    (
        "etcd_debugging_mvcc_slow_watcher_total",
        "Total number of unsynced slow watchers.",
        lambda s: s.figures.slow_watchers,
    ),
    ("os_fd_used", "The number of used file descriptors.", lambda s: len(os.listdir("/proc/self/fd"))),
    ("os_fd_limit", "The file descriptor limit.", lambda s: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
)


class Metrics:
    """Everything /metrics shows of one member."""

    def __init__(self, member: Member, version: str) -> None:
        self._member = member
        self._version = version
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._last_leader: int | None = None
        member.on_leader_change(self._leader_changed)

    async def text(self) -> bytes:
        families = [*self._counted(), *await self._asked()]
        lines = (line for family in sorted(families, key=lambda f: f.name) for line in _lines(family))
        return "".join(lines).encode() + generate_latest(self._process)

    def health_recorded(self, kind: str, name: str, ok: bool) -> None:
        if not kind:
            (telemetry.HEALTH_SUCCESS if ok else telemetry.HEALTH_FAILURES).inc()
        else:
            telemetry.HEALTH_CHECKS.inc(name, "success" if ok else "error", kind)

    def _leader_changed(self, leader: int | None) -> None:
        """etcd counts each new leader once, also the first and one that returns."""
        if leader is not None and leader != self._last_leader:
            telemetry.LEADER_CHANGES.inc()
        self._last_leader = leader

    def _counted(self) -> Iterator[Family]:
        for counter in telemetry.COUNTERS:
            samples = [
                ("", dict(zip(counter.labels, labels, strict=True)), value)
                for labels, value in sorted(counter.values.items())
            ]
            yield Family(counter.name, "counter", counter.help, samples)
        for histogram in telemetry.HISTOGRAMS:
            yield Family(histogram.name, "histogram", histogram.help, list(_buckets(histogram)))

    async def _asked(self) -> list[Family]:
        member = self._member
        seen = Seen(member, await member.status(), member.figures())
        version = self._version
        return [
            *(_gauge(name, help, value(seen)) for name, help, value in GAUGES),
            _info("etcd_server_id", "Server or member ID in hexadecimal format.", server_id=f"{member.id:x}"),
            _info("etcd_server_version", "Which version is running.", server_version=version),
            _info("etcd_cluster_version", "Which version is running.", cluster_version=minor(version)),
            self._peers(),
        ]

    def _peers(self) -> Family:
        own = f"{self._member.id:x}"
        samples = [
            ("", {"Local": own, "Remote": f"{peer.id:x}"}, float(peer.connected))
            for peer in self._member.progress()
            if peer.id != self._member.id
        ]
        return Family(
            "etcd_network_active_peers", "gauge", "The current number of active peer connections.", samples
        )


def minor(version: str) -> str:
    """3.6.13 -> 3.6.0, the form of cluster versions."""
    return ".".join([*version.split(".")[:2], "0"])


def _gauge(name: str, help: str, value: float) -> Family:
    return Family(name, "gauge", help, [("", {}, float(value))])


def _info(name: str, help: str, **label: str) -> Family:
    """1 for what is in the label."""
    return Family(name, "gauge", help, [("", label, 1.0)])


def _buckets(histogram: telemetry.Histogram) -> Iterator[Sample]:
    total = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        yield "_bucket", {"le": "+Inf" if bound == float("inf") else f"{bound:g}"}, total
    yield "_sum", {}, histogram.sum
    yield "_count", {}, total


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for suffix, labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in sorted(labels.items()))
        number = f"{int(value)}" if value == int(value) else repr(value)
        yield (
            f"{family.name}{suffix}{{{inside}}} {number}\n" if inside else f"{family.name}{suffix} {number}\n"
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
