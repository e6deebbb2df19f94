"""The figures of scheduled backups as Prometheus metrics, which every master shows on its API server's `/metrics`.

The supervisor takes the backups and tells the masters how they go (`caretaker`, `admin`); none are shown before that.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from components.cluster.status import BackupStatus

_GAUGES = {
    "last_success": (
        "kuberaft_backup_last_success_timestamp_seconds",
        "When the newest good backup was begun",
    ),
    "duration": ("kuberaft_backup_duration_seconds", "How long the newest good backup took"),
    "size": ("kuberaft_backup_size_bytes", "Size of the newest good backup"),
    "kept": ("kuberaft_backup_files", "Backups in the directory"),
    "next": ("kuberaft_backup_next_timestamp_seconds", "When the next backup is due"),
}
_COUNTERS = {
    "successes": ("kuberaft_backup_successes", "Backups written and verified since the cluster was started"),
    "failures": (
        "kuberaft_backup_failures",
        "Backups that could not be written since the cluster was started",
    ),
}


def families(status: BackupStatus | None) -> Iterator[Metric]:
    """What is not known (there was no backup yet) is left out."""
    if status is None:
        return
    for field, (name, text) in _GAUGES.items():
        value = getattr(status, field)
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)
    for field, (name, text) in _COUNTERS.items():
        yield CounterMetricFamily(name, text, value=getattr(status, field))
