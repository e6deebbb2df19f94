"""The store beside a real etcd: three members each on this machine, measured in turns, one table.

`python -m benchmarks kv` needs etcd and etcdctl on PATH (Debian: etcd-server, etcd-client). Every figure is the
median of several short rounds, ours and etcd's one after the other, so that a noisy neighbour hurts both.
`KV_BENCH_ROUNDS`, `KV_BENCH_SECONDS` and `KV_BENCH_KILLS` make it shorter or longer, as do the variables of
`kv_large` and `kv_elections`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.grpc_load import Connection, headers, message, rate
from benchmarks.kv_cluster import memory, processes, progress
from benchmarks.kv_elections import elections
from benchmarks.kv_large import large
from benchmarks.table import Row, show
from kvstore.client import Client
from kvstore.errors import StoreError
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import PutRequest
from tests.support.kvstore_cluster import KVSTORE, Cluster

ROUNDS = int(os.environ.get("KV_BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("KV_BENCH_SECONDS", "3"))
KILLS = int(os.environ.get("KV_BENCH_KILLS", "20"))
IDLE_SECONDS = 10.0
VALUE = b"v" * 256
WATCHERS, WATCH_CONNECTIONS, WATCHED_PUTS = 500, 10, 200

Bodies = Callable[[int], bytes]


def put(number: int) -> bytes:
    return pb.PutRequest(key=b"bench/%06d" % (number % 10_000), value=VALUE).SerializeToString()


def get(number: int) -> bytes:
    return pb.RangeRequest(key=b"bench/%06d" % (number % 1000)).SerializeToString()


def serializable_get(number: int) -> bytes:
    return pb.RangeRequest(key=b"bench/%06d" % (number % 1000), serializable=True).SerializeToString()


def txn(number: int) -> bytes:
    """What an API server does: replace a value if it is unchanged."""
    key = b"bench/%06d" % (number % 10_000)
    return pb.TxnRequest(
        compare=[pb.Compare(key=key, target=pb.Compare.MOD, result=pb.Compare.GREATER, mod_revision=0)],
        success=[pb.RequestOp(request_put=pb.PutRequest(key=key, value=VALUE))],
        failure=[pb.RequestOp(request_range=pb.RangeRequest(key=key))],
    ).SerializeToString()


MEASURES: list[tuple[str, str, Bodies, int]] = [
    ("put, 1 in flight", "KV/Put", put, 1),
    ("put, 8 in flight", "KV/Put", put, 8),
    ("put, 64 in flight", "KV/Put", put, 64),
    ("put, 256 in flight", "KV/Put", put, 256),
    ("linearizable get, 1 in flight", "KV/Range", get, 1),
    ("linearizable get, 64 in flight", "KV/Range", get, 64),
    ("serializable get, 64 in flight", "KV/Range", serializable_get, 64),
    ("txn, 64 in flight", "KV/Txn", txn, 64),
]


def main() -> None:
    etcd, etcdctl = shutil.which("etcd"), shutil.which("etcdctl")
    if etcd is None or etcdctl is None:
        sys.exit(
            "benchmarks kv: etcd and etcdctl must be on PATH; install them (Debian: etcd-server, etcd-client)"
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kvstore-bench-")))
        clusters = []
        for name, command in (("ours", KVSTORE), ("etcd", (etcd,))):
            (folder / name).mkdir()
            clusters.append(stack.enter_context(Cluster(command, folder / name)))
        ours, real = clusters
        rows = [*_idle(ours, real), *_rates(ours, real), *_watch(ours, real), *_failover(ours, real)]
    rows += [*elections(), *large(etcd, etcdctl)]
    show(
        "store: 3 members on one machine, gRPC without TLS, 256-byte values; real system: etcd beside it",
        rows,
    )


def _both(
    what: str, measure: Callable[[Cluster], float], clusters: tuple[Cluster, Cluster]
) -> tuple[float, float]:
    """Medians of `ROUNDS` rounds in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS):
        for figures, cluster in zip(found, clusters, strict=True):
            figures.append(measure(cluster))
        progress(f"{what}, round {round_ + 1}: {found[0][-1]:,.0f} and {found[1][-1]:,.0f}")
    return statistics.median(found[0]), statistics.median(found[1])


def _rates(ours: Cluster, real: Cluster) -> list[Row]:
    rows = []
    for what, method, bodies, in_flight in MEASURES:

        def measure(
            cluster: Cluster, method: str = method, bodies: Bodies = bodies, n: int = in_flight
        ) -> float:
            return asyncio.run(rate(cluster.endpoints, f"/etcdserverpb.{method}", bodies, n, SECONDS))[0]

        mine, theirs = _both(what, measure, (ours, real))
        rows.append(Row(what, mine, "/s", theirs, more_is_better=True))
    return rows


def _watch(ours: Cluster, real: Cluster) -> list[Row]:
    what = f"{WATCHERS} watchers of one key: events"
    mine, theirs = _both(what, lambda cluster: asyncio.run(_watched(cluster.endpoints)), (ours, real))
    return [Row(what, mine, "/s", theirs, more_is_better=True)]


async def _watched(endpoints: list[str]) -> float:
    """Events a second until the last watcher has the last of them."""
    key, seen, created = b"bench-watched-%d" % time.monotonic_ns(), 0, 0
    total = asyncio.get_running_loop().create_future()
    request = pb.WatchRequest(create_request=pb.WatchCreateRequest(key=key)).SerializeToString()
    head = headers("/etcdserverpb.Watch/Watch")

    def received(data: bytes) -> None:
        nonlocal seen, created
        events = data.count(key)
        seen += events
        created += 0 if events else 1
        if seen >= WATCHERS * WATCHED_PUTS and not total.done():
            total.set_result(None)

    connections = [
        await Connection.open(endpoints[number % len(endpoints)]) for number in range(WATCH_CONNECTIONS)
    ]
    for connection in connections:
        connection.on_data = received
        for _ in range(WATCHERS // WATCH_CONNECTIONS):
            connection.call(head, message(request), end=False)
    while created < WATCHERS:  # noqa: ASYNC110  # `received` counts them
        await asyncio.sleep(0.05)
    client = Client(endpoints)
    started = time.perf_counter()
    for number in range(WATCHED_PUTS):
        await client.put(PutRequest(key, b"%d" % number))
    async with asyncio.timeout(60):
        await total
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    await client.close()
    return WATCHERS * WATCHED_PUTS / elapsed


def _failover(ours: Cluster, real: Cluster) -> list[Row]:
    rows = []
    gaps: list[list[float]] = [[], []]
    for round_ in range(KILLS):
        for found, cluster in zip(gaps, (ours, real), strict=True):
            found.append(asyncio.run(_killed(cluster)))
        progress(f"leader killed, {round_ + 1}: {gaps[0][-1]:.2f} s and {gaps[1][-1]:.2f} s")
    for what, pick in (("median", statistics.median), ("worst", max)):
        mine, theirs = pick(gaps[0]), pick(gaps[1])
        rows.append(Row(f"leader SIGKILL to next put, {what} of {KILLS}", mine, "s", theirs))
    return rows


async def _killed(cluster: Cluster) -> float:
    leader = await _leader(cluster)
    others = [e for number, e in enumerate(cluster.endpoints) if number != leader]
    client = Client(others, timeout=0.25)
    await client.put(PutRequest(b"failover", b""))
    await asyncio.to_thread(cluster.kill, leader)
    started = time.perf_counter()
    while True:
        try:
            await client.put(PutRequest(b"failover", b""))
            break
        except StoreError:
            await asyncio.sleep(0.01)
    gap = time.perf_counter() - started
    await client.close()
    await asyncio.to_thread(cluster.start, leader)
    await asyncio.to_thread(cluster.wait_ready)
    return gap


async def _leader(cluster: Cluster) -> int:
    for number, endpoint in enumerate(cluster.endpoints):
        client = Client([endpoint])
        try:
            status = await client.status()
        finally:
            await client.close()
        if status.leader == status.header.member_id:
            return number
    raise RuntimeError("no member leads")


def _idle(ours: Cluster, real: Cluster) -> list[Row]:
    clusters = (ours, real)
    before = [[_cpu(p) for p in processes(cluster)] for cluster in clusters]
    time.sleep(IDLE_SECONDS)
    shares = []
    for cluster, used in zip(clusters, before, strict=True):
        spent = [_cpu(p) - b for p, b in zip(processes(cluster), used, strict=True)]
        shares.append(100 * statistics.mean(spent) / IDLE_SECONDS)
    return [
        Row("processor time of an idle member", shares[0], "% of a core", shares[1]),
        Row("memory of an idle member", memory(ours), "MiB", memory(real)),
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
