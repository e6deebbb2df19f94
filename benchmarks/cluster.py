"""The default cluster of real processes: start-up, API speed over TLS, leader failover, memory.

The real system's figures are kube-apiserver 1.36 with three etcd members on a machine of the same kind
(docs/design.md). Ours are of the run that prints them; the load generator shares the machine with the
cluster, as it did there.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from benchmarks.table import Row, show
from components.client.connect import new_session
from components.client.kubeconfig import load
from components.client.resources import CONFIG_MAPS, PODS
from components.client.transport import ApiClient
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.writer import History, write

MEBIBYTE = 1 << 20
STARTS = 5
KILLS = 5
LISTED_PODS = 6_000
WATCHERS = 500
UPDATES = 100


def main() -> None:
    """Start clusters, measure, print one table; about five minutes."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-bench-") as folder:
        starts = [start_seconds(Path(folder) / f"start{n}") for n in range(STARTS)]
        cluster = LocalCluster(Path(folder) / "cluster")
        try:
            cluster.up()
            idle = memory(cluster)
            api = asyncio.run(measure_api(cluster.kubeconfig))
            rows = [
                Row("start to all nodes Ready, median of 5", statistics.median(starts), "s", 2.8),
                *api,
                *failover(cluster),
                *(Row(f"memory of {name}, idle", size, "MiB") for name, size in idle.items()),
                Row("memory of 3 masters, loaded", masters(memory(cluster)), "MiB", 1085 + 3 * 120),
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


async def measure_api(kubeconfig: Path) -> list[Row]:
    client = ApiClient.from_kubeconfig(kubeconfig, user_agent="kuberaft-bench")
    try:
        return [
            *await measure_create(client),
            *await measure_get(client),
            *await measure_list(client),
            *await measure_watch(client, kubeconfig),
        ]
    finally:
        await client.close()


def pod(name: str) -> dict[str, object]:
    """A pod for a scheduler that does not exist, so that only the API server works on it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "bench"}},
        "spec": {"schedulerName": "none", "containers": [{"name": "c", "image": "kuberaft/pause"}]},
    }


async def rate(work: Callable[[int], Awaitable[object]], count: int, in_flight: int) -> float:
    """Calls per second of `work(0) ... work(count - 1)` with so many in flight."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return count / (time.perf_counter() - started)


async def measure_create(client: ApiClient) -> list[Row]:
    one = await rate(lambda n: client.create(PODS, pod(f"one-{n}")), 500, 1)
    many = await rate(lambda n: client.create(PODS, pod(f"many-{n}")), LISTED_PODS - 500, 64)
    return [
        Row("create pod, 1 client", one, "/s", 301, more_is_better=True),
        Row("create pod, 64 in flight", many, "/s", 650, more_is_better=True),
    ]


async def measure_get(client: ApiClient) -> list[Row]:
    real = {1: 657, 16: 1_940, 64: 2_430}
    rows = []
    for in_flight, figure in real.items():
        got = await rate(lambda n: client.get(PODS, f"many-{n}", "default"), 3_000, in_flight)
        rows.append(Row(f"get pod, {in_flight} in flight", got, "/s", figure, more_is_better=True))
    return rows


async def measure_list(client: ApiClient) -> list[Row]:
    rows = []
    for what, query, figure in (
        ("whole", {}, 308),
        ("resourceVersion=0", {"resourceVersion": "0"}, 211),
        ("limit=500", {"limit": "500"}, 28),
    ):
        times = []
        for _ in range(7):
            started = time.perf_counter()
            status, _ = await client.raw("GET", "/api/v1/namespaces/default/pods", query=query)
            assert status == 200
            times.append(1000 * (time.perf_counter() - started))
        rows.append(Row(f"list {LISTED_PODS:,} pods, {what}", statistics.median(times), "ms", figure))
    return rows


async def measure_watch(client: ApiClient, kubeconfig: Path) -> list[Row]:
    """One object patched in turn with many watchers, timed until the last one has the last event.

    The watchers only count lines: a client that decodes every event would measure itself.
    """
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched", "namespace": "default"}}
    version = (await client.create(CONFIG_MAPS, body))["metadata"]["resourceVersion"]
    config = load(kubeconfig)
    url = f"{config.server}/api/v1/namespaces/default/configmaps"
    query = {"watch": "true", "resourceVersion": version, "fieldSelector": "metadata.name=watched"}
    async with new_session(config, "kuberaft-bench") as session, asyncio.TaskGroup() as group:
        opened = asyncio.Semaphore(0)

        async def follow() -> None:
            async with session.get(url, params=query) as response:
                opened.release()
                seen = 0
                async for chunk in response.content.iter_any():
                    seen += chunk.count(b"\n")
                    if seen >= UPDATES:
                        return

        watchers = [group.create_task(follow()) for _ in range(WATCHERS)]
        for _ in watchers:
            await opened.acquire()
        started = time.perf_counter()
        for number in range(UPDATES):
            await client.patch(CONFIG_MAPS, "watched", {"data": {"n": str(number)}}, "default")
        await asyncio.gather(*watchers)
        seconds = time.perf_counter() - started
    return [
        Row(f"1 object, {WATCHERS} watchers: updates", UPDATES / seconds, "/s", 79, more_is_better=True),
        Row("events delivered", UPDATES * WATCHERS / seconds, "/s", 38_800, more_is_better=True),
    ]


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
