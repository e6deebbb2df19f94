"""The default cluster of real processes: start-up, leader failover, memory.

The real system's figures are kube-apiserver 1.36 with three etcd members on a machine of the same kind
(docs/design.md). Ours are of the run that prints them; the load generator shares the machine with the
cluster, as it did there.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import uvloop

from benchmarks.http_load import Target, rate
from benchmarks.requests import account, pod
from benchmarks.table import Row, show
from components.client.kubeconfig import load
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.writer import History, write

MEBIBYTE = 1 << 20
STARTS = 5
KILLS = 5
STORED_PODS = 6_000


def main() -> None:
    """Start clusters, measure, print one table; about two minutes."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-bench-") as folder:
        starts = [start_seconds(Path(folder) / f"start{n}") for n in range(STARTS)]
        cluster = LocalCluster(Path(folder) / "cluster")
        try:
            cluster.up()
            idle = memory(cluster)
            uvloop.run(store_pods(cluster.kubeconfig))
            rows = [
                Row(f"start to all nodes Ready, median of {STARTS}", statistics.median(starts), "s", 2.8),
                *failover(cluster),
                *(Row(f"memory of {name}, idle", size, "MiB") for name, size in idle.items()),
            ]
        finally:
            cluster.close()
    show("cluster: 3 masters, 2 workers, one machine, TLS, through the failover endpoint", rows)


def start_seconds(folder: Path) -> float:
    cluster = LocalCluster(folder)
    started = time.perf_counter()
    try:
        cluster.up()
        return time.perf_counter() - started
    finally:
        cluster.close()


def memory(cluster: LocalCluster) -> dict[str, float]:
    """Proportional set size of each process in MiB: forked processes share pages."""
    return {
        name: psutil.Process(pid).memory_full_info().pss / MEBIBYTE for name, pid in pids(cluster).items()
    }


def pids(cluster: LocalCluster) -> dict[str, int]:
    return {"supervisor": cluster.status()["supervisor"]["pid"], **cluster.process_ids()}


def masters(sizes: dict[str, float]) -> float:
    return sum(size for name, size in sizes.items() if name.startswith("m"))


async def store_pods(kubeconfig: Path) -> None:
    """What a leader's death is measured with."""
    target = Target.of(load(kubeconfig))
    await account(target)
    await rate(target, (pod(target, number) for number in range(STORED_PODS)), STORED_PODS, 64, 201)


def failover(cluster: LocalCluster) -> list[Row]:
    """The longest time without an acknowledged write when the leader is killed by SIGKILL."""
    gaps = [asyncio.run(_kill_once(cluster, f"gap{n}")) for n in range(KILLS)]
    return [
        Row(f"leader SIGKILL to next write, median of {KILLS}", statistics.median(gaps), "s", 1.27),
        Row("the same, worst", max(gaps), "s", 1.48),
    ]


async def _kill_once(cluster: LocalCluster, prefix: str) -> float:
    history = History()
    writing = asyncio.create_task(write(cluster.kubeconfig, prefix, 500, history))
    await asyncio.sleep(1)
    victim = next(m["name"] for m in (await asyncio.to_thread(cluster.status))["members"] if m["leader"])
    await asyncio.to_thread(cluster.kuberaft, "kill", "leader")
    await writing
    await asyncio.to_thread(cluster.kuberaft, "start", victim)

    def all_healthy() -> bool:
        return all(m["ready"] for m in cluster.status()["members"])

    await asyncio.to_thread(eventually, all_healthy, "all members are healthy")
    return history.longest_gap()


if __name__ == "__main__":
    main()
