"""(P) What the store counts about itself while it works, under etcd's names; `kvstore.server.metrics` prints it.

Counters and histograms are the process's, as etcd's are: whoever does the work adds to them where it happens, at the
cost of a dictionary look-up. What can be asked for (sizes, revisions, roles) is not kept here but asked.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple


class Counter:
    """`name` is the sample's, whole. Label values are given in the order of `labels`."""

    def __init__(self, name: str, help: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        COUNTERS.append(self)

    def inc(self, *labels: str, by: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + by


class Histogram:
    """`bounds` are the buckets' upper ends, inclusive; `counts` has one more, for what exceeds them all."""

    def __init__(self, name: str, help: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.help = help
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        HISTOGRAMS.append(self)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Figures(NamedTuple):
    """What a member's state holds now. `slow_watchers` are those that are owed revisions."""

    keys: int
    watchers: int
    slow_watchers: int


def doubling(start: float, count: int) -> tuple[float, ...]:
    return tuple(start * 2**n for n in range(count))


COUNTERS: list[Counter] = []
HISTOGRAMS: list[Histogram] = []

WAL_FSYNC = Histogram(
    "etcd_disk_wal_fsync_duration_seconds",
    "The latency distributions of fsync called by WAL.",
    doubling(0.001, 14),
)
BACKEND_COMMIT = Histogram(
    "etcd_disk_backend_commit_duration_seconds",
    "The latency distributions of commit called by backend.",
    doubling(0.001, 14),
)
LEADER_CHANGES = Counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.")
HEALTH_SUCCESS = Counter("etcd_server_health_success", "The total number of successful health checks.")
HEALTH_FAILURES = Counter("etcd_server_health_failures", "The total number of failed health checks.")
HEALTH_CHECKS = Counter(
    "etcd_server_healthchecks_total", "The total number of each health check.", ("name", "status", "type")
)
PUTS = Counter("etcd_mvcc_put_total", "Total number of puts seen by this member.")
DELETES = Counter("etcd_mvcc_delete_total", "Total number of deletes seen by this member.")
RANGES = Counter("etcd_mvcc_range_total", "Total number of ranges seen by this member.")
TXNS = Counter("etcd_mvcc_txn_total", "Total number of txns seen by this member.")
EVENTS = Counter("etcd_debugging_mvcc_events_total", "Total number of events sent by this member.")
LEASES_GRANTED = Counter("etcd_debugging_lease_granted_total", "The total number of granted leases.")
LEASES_REVOKED = Counter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.")
LEASES_RENEWED = Counter(
    "etcd_debugging_lease_renewed_total", "The number of renewed leases seen by the leader."
)
LEASES_EXPIRED = Counter("etcd_debugging_server_lease_expired_total", "The total number of expired leases.")
_CALL = ("grpc_type", "grpc_service", "grpc_method")
GRPC_STARTED = Counter("grpc_server_started_total", "Total number of RPCs started on the server.", _CALL)
GRPC_HANDLED = Counter(
    "grpc_server_handled_total",
    "Total number of RPCs completed on the server, regardless of success or failure.",
    (*_CALL, "grpc_code"),
)
