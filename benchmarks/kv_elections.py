"""Whether full load costs an election: `KV_BENCH_LOAD_SECONDS` (default 600) of puts, 64 in flight."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.grpc_load import rate
from benchmarks.kv_cluster import progress
from benchmarks.table import Row
from kvstore.client import Client
from kvstore.rpc.proto import rpc_pb2 as pb
from tests.support.kvstore_cluster import KVSTORE, Cluster

LOAD_SECONDS = float(os.environ.get("KV_BENCH_LOAD_SECONDS", "600"))
SLICE_SECONDS = 30.0
IN_FLIGHT = 64
KEYS = 100_000
VALUE = b"v" * 256
FLAGS = ("--quota-backend-bytes=8589934592", "--auto-compaction-retention=1m")
"""Millions of revisions are more than the default quota holds; what nobody needs is compacted, as in a real cluster."""


def elections() -> list[Row]:
    """Ours alone."""
    with (
        tempfile.TemporaryDirectory(prefix="kvstore-bench-load-") as folder,
        Cluster(KVSTORE, Path(folder), flags=FLAGS) as cluster,
    ):
        before = asyncio.run(_term(cluster))
        rates = asyncio.run(_load(cluster))
        changes = asyncio.run(_term(cluster)) - before
    title = f"{LOAD_SECONDS:,.0f} s of puts, {IN_FLIGHT} in flight: "
    return [
        Row(title + "elections", changes, ""),
        Row(title + "slowest half minute", min(rates), "/s", more_is_better=True),
    ]


async def _load(cluster: Cluster) -> list[float]:
    rates: list[float] = []
    left = LOAD_SECONDS
    while left > 0:
        seconds = min(SLICE_SECONDS, left)
        found, _ = await rate(cluster.endpoints, "/etcdserverpb.KV/Put", _put, IN_FLIGHT, seconds)
        rates.append(found)
        left -= seconds
        progress(f"full load: {found:,.0f} puts/s, {left:,.0f} s left")
    return rates


def _put(number: int) -> bytes:
    return pb.PutRequest(key=b"load/%06d" % (number % KEYS), value=VALUE).SerializeToString()


async def _term(cluster: Cluster) -> int:
    client = Client(cluster.endpoints)
    try:
        return (await client.status()).raft_term
    finally:
        await client.close()
