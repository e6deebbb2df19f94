"""Very many keys: how long it takes to load them, what they cost, and to start, save and restore with them.

`KV_BENCH_KEYS`: how many (default a million).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.kv_cluster import MEBIBYTE, memory, progress
from benchmarks.table import Row
from kvstore.client import Client
from kvstore.types import PutRequest, RangeRequest
from tests.support.kvstore_cluster import KVSTORE, Cluster

KEYS = int(os.environ.get("KV_BENCH_KEYS", "1000000"))
LOAD_OPS, LOAD_IN_FLIGHT = 100, 8


def large(etcd: str, etcdctl: str) -> list[Row]:
    """A million keys, one cluster after the other: there may not be room for both."""
    found = []
    for name, command, restorer in (
        ("ours", KVSTORE, (*KVSTORE, "snapshot")),
        ("etcd", (etcd,), (etcdctl, "snapshot")),
    ):
        with tempfile.TemporaryDirectory(prefix=f"kvstore-bench-{name}-") as folder:
            found.append(_with_keys(name, command, restorer, Path(folder)))
    mine, theirs = found
    units = {"load": "s", "memory of a member": "MiB", "disk of a member": "MiB"}
    title = f"{KEYS:,} keys of 100 bytes: "
    return [Row(title + what, mine[what], units.get(what, "s"), theirs[what]) for what in mine]


def _with_keys(
    name: str, command: tuple[str, ...], restorer: tuple[str, ...], folder: Path
) -> dict[str, float]:
    with Cluster(command, folder) as cluster:
        progress(f"{name}: loading {KEYS:,} keys")
        started = time.perf_counter()
        asyncio.run(_load(cluster.endpoints))
        figures = {"load": time.perf_counter() - started, "memory of a member": memory(cluster)}
        data = folder / "m0"
        figures["disk of a member"] = (
            sum(f.stat().st_blocks * 512 for f in data.rglob("*") if f.is_file()) / MEBIBYTE
        )
        cluster.stop()
        started = time.perf_counter()
        for number in range(3):
            cluster.start(number)
        cluster.wait_ready(120)
        figures["restart to ready"] = time.perf_counter() - started
        started = time.perf_counter()
        asyncio.run(_snapshot(cluster.endpoints[0], folder / "snapshot.db"))
        figures["snapshot to a file"] = time.perf_counter() - started
    figures["restore"] = _restore(restorer, folder, cluster)
    return figures


def _restore(command: tuple[str, ...], folder: Path, cluster: Cluster) -> float:
    """One member's data directory out of the snapshot."""
    members = ",".join(f"{name}={url}" for name, url in zip(cluster.names, cluster.peers, strict=True))
    arguments = [
        *(*command, "restore", str(folder / "snapshot.db"), f"--data-dir={folder / 'restored'}"),
        *(f"--name={cluster.names[0]}", f"--initial-cluster={members}"),
        f"--initial-advertise-peer-urls={cluster.peers[0]}",
    ]
    started = time.perf_counter()
    done = subprocess.run(
        arguments, env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return time.perf_counter() - started


async def _load(endpoints: list[str]) -> None:
    clients = [Client([endpoints[number % len(endpoints)]], timeout=60.0) for number in range(LOAD_IN_FLIGHT)]
    batches = iter(range(0, KEYS, LOAD_OPS))
    value = b"v" * 86

    async def work(client: Client) -> None:
        for first in batches:
            operations = tuple(PutRequest(b"key/%010d" % n, value) for n in range(first, first + LOAD_OPS))
            await client.put_all(operations)

    await asyncio.gather(*(work(client) for client in clients))
    found = await clients[0].range(RangeRequest(b"key/", b"key0", count_only=True))
    assert found.count == KEYS, f"{found.count} keys of {KEYS} are there"
    await asyncio.gather(*(client.close() for client in clients))


async def _snapshot(endpoint: str, path: Path) -> None:
    client = Client([endpoint])
    with path.open("wb") as file:
        async for chunk in client.snapshot():
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    await client.close()
