"""What the store's benchmarks ask of a running cluster."""

from __future__ import annotations

import statistics
import sys

import psutil

from tests.support.kvstore_cluster import Cluster

MEBIBYTE = 1 << 20


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def processes(cluster: Cluster) -> list[psutil.Process]:
    return [psutil.Process(process.pid) for process in cluster.processes if process is not None]


def memory(cluster: Cluster) -> float:
    """Resident, of one member, in MiB."""
    return statistics.mean(p.memory_info().rss for p in processes(cluster)) / MEBIBYTE
