"""The API server of a cluster of three masters, over TLS and through the failover endpoint.

The real system's figures are kube-apiserver 1.36 with three etcd members on a machine of the same kind
(docs/design.md). The load generator (`benchmarks.http_load`) shares the machine with the cluster, as it did there.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import http2_load
from benchmarks.cluster import masters, memory
from benchmarks.http_load import Connection, EventCounter, Target, median_ms, open_many, rate
from benchmarks.requests import CONFIG_MAPS, PODS, account, config_map, pod, watch, watch_path
from benchmarks.table import Row, show
from components.client.kubeconfig import load
from tests.support.local_cluster import LocalCluster

REAL_CREATE: Final = {1: 301, 64: 650}
REAL_GET: Final = {1: 657, 16: 1_940, 64: 2_430}
REAL_LISTS: Final = {"": 308, "resourceVersion=0": 211, "limit=500": 28, "labelSelector=app%3Drare": None}
REAL_MEMORY: Final = 1085 + 3 * 120
_LEAVING: Final = 200  # idle watchers that leave at a time
_LEAVING_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Sizes:
    """How much is done."""

    pods: int = 6_000
    many_pods: int = 60_000
    gets: int = 5_000
    lists: int = 15
    watchers: int = 500
    updates: int = 200
    idle_watchers: int = 10_000
    stored: tuple[int, ...] = (1_000, 10_000, 100_000)


SHORT: Final = Sizes(
    pods=1_500, many_pods=0, gets=1_000, lists=5, updates=50, idle_watchers=500, stored=(500, 2_000)
)


def main(*, short: bool = False) -> None:
    """Start a cluster, measure, print one table. About ten minutes; one if `short`."""
    sizes = SHORT if short else Sizes()
    _allow_open_files()
    rows = [row for measures in MEASURES for row in _in_a_cluster(measures, sizes)]
    show("API server: 3 masters, one machine, TLS, through the failover endpoint", rows)


def _in_a_cluster(measures: Sequence[Measure], sizes: Sizes) -> list[Row]:
    """A new one: memory that was used before would be used again."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-bench-") as folder:
        cluster = LocalCluster(Path(folder) / "cluster")
        try:
            cluster.up()
            return uvloop.run(_measure(cluster, measures, sizes))
        finally:
            cluster.close()


def _allow_open_files() -> None:
    """Each idle watcher is one here and two at the failover endpoint, which inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _measure(cluster: LocalCluster, measures: Sequence[Measure], sizes: Sizes) -> list[Row]:
    target = Target.of(load(cluster.kubeconfig))
    await account(target)
    rows = []
    for measure in measures:
        with _told(measure.__name__):
            rows += await measure(cluster, target, sizes)
    return rows


@contextmanager
def _told(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


async def creates(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """`sizes.pods` pods in all."""
    rows, first = [], 0
    for in_flight, share in ((1, 0.1), (16, 0.3), (64, 0.6)):
        count = round(sizes.pods * share)
        requests = (pod(target, number) for number in range(first, first + count))
        made = await rate(target, requests, count, in_flight, expected=201)
        rows.append(_per_second(f"create pod, {in_flight} in flight", made, REAL_CREATE.get(in_flight)))
        first += count
    return rows


async def gets(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    rows = []
    for in_flight, figure in REAL_GET.items():
        requests = (target.request("GET", f"{PODS}/p{number % sizes.pods}") for number in range(sizes.gets))
        got = await rate(target, requests, sizes.gets, in_flight)
        rows.append(_per_second(f"get pod, {in_flight} in flight", got, figure))
    for in_flight, figure in REAL_GET.items():
        heads = (http2_load.request(target, f"{PODS}/p{number % sizes.pods}") for number in range(sizes.gets))
        got = await http2_load.rate(target, heads, sizes.gets, in_flight)
        rows.append(_per_second(f"the same on one connection of HTTP/2, {in_flight}", got, figure))
    return rows


async def lists(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    rows = []
    connection = await target.open()
    for query, figure in REAL_LISTS.items():
        request = target.request("GET", f"{PODS}?{query}" if query else PODS)
        real = figure if sizes.pods == Sizes.pods else None
        took = await median_ms(connection, request, sizes.lists)
        rows.append(Row(f"list {sizes.pods:,} pods, {query or 'whole'}", took, "ms", real))
    connection.close()
    return rows


async def fan_out(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """One object patched with many watchers, timed until the last one has the last event."""
    caller = await target.open()
    await caller.call(config_map(target, "watched"), 201)
    counter = EventCounter()
    request = watch(target, await _version(caller, target, f"{CONFIG_MAPS}/watched"), "watched")
    watchers = await open_many(target, sizes.watchers, request, counter)
    expected = sizes.updates * sizes.watchers
    started = time.perf_counter()
    for number in range(sizes.updates):
        body = b'{"data":{"n":"update %d"}}' % number
        patch = target.request("PATCH", f"{CONFIG_MAPS}/watched", body, "application/merge-patch+json")
        await caller.call(patch)
    await counter.reached(expected, 60)
    seconds = time.perf_counter() - started
    assert counter.events == expected, f"{counter.events} events instead of {expected}"
    for connection in (caller, *watchers):
        connection.close()
    what = f"1 object, {sizes.watchers} watchers"
    return [
        _per_second(f"{what}: updates", sizes.updates / seconds, 79),
        _per_second(f"{what}: events delivered", expected / seconds, 38_800),
    ]


async def stored_pods(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """What the masters take with the pods so far, and with very many."""
    rows = [_memory(cluster, sizes.pods, REAL_MEMORY)]
    if sizes.many_pods:
        count = sizes.many_pods - sizes.pods
        await rate(target, (pod(target, n) for n in range(sizes.pods, sizes.many_pods)), count, 64, 201)
        await _fill_caches(cluster, target)
        rows.append(_memory(cluster, sizes.many_pods, None))
    return rows


async def _fill_caches(cluster: LocalCluster, target: Target) -> None:
    """Lists over several connections: the endpoint spreads them, so every master has read the pods."""
    connections = [await target.open() for _ in range(3)]
    for connection in connections:
        await connection.call(target.request("GET", f"{PODS}?limit=1"))
    for connection in connections:
        connection.close()


def _memory(cluster: LocalCluster, pods: int, real: float | None) -> Row:
    return Row(f"memory of 3 masters with {pods:,} pods", masters(memory(cluster)), "MiB", real)


async def idle_watchers(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """As Go's clients open them. Goal: less than 25 kB each, TLS included."""
    caller = await target.open()
    path = watch_path(await _version(caller, target, CONFIG_MAPS), "nothing")
    request, count = http2_load.request(target, path), sizes.idle_watchers
    before = memory(cluster)
    connections = await http2_load.open_many(target, count, request, EventCounter())
    row = _idle(cluster, before, count, "on connections of HTTP/2")
    for connection in connections:
        connection.close()
        await asyncio.sleep(_LEAVING_SECONDS)
    return [row]


async def lonely_watchers(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """With a connection for each."""
    caller = await target.open()
    path = watch_path(await _version(caller, target, CONFIG_MAPS), "nothing")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(sizes.idle_watchers, limit // 2 - 500)
    before = memory(cluster)
    watchers = await open_many(target, count, target.request("GET", path), EventCounter())
    row = _idle(cluster, before, count, "each on a connection of its own")
    for number, connection in enumerate((caller, *watchers)):
        connection.close()
        if number % _LEAVING == 0:  # ten thousand ends at once cost an election on two cores
            await asyncio.sleep(_LEAVING_SECONDS)
    return [row]


def _idle(cluster: LocalCluster, before: dict[str, float], count: int, how: str) -> Row:
    each = 1024 * (masters(memory(cluster)) - masters(before)) / count
    return Row(f"memory of an idle watcher, of {count:,} {how}", each, "KiB")


async def growth(cluster: LocalCluster, target: Target, sizes: Sizes) -> list[Row]:
    """Gets and pages should cost the same however much is stored, whole lists in proportion."""
    rows, made = [], 0
    for stored in sizes.stored:
        requests = (config_map(target, f"g{number:06}") for number in range(made, stored))
        await rate(target, requests, stored - made, 64, 201)
        made = stored
        connection = await target.open()
        for what, path in (
            ("get", f"{CONFIG_MAPS}/g{stored // 2:06}"),
            ("page of 500", f"{CONFIG_MAPS}?limit=500"),
            ("whole list", CONFIG_MAPS),
        ):
            took = await median_ms(connection, target.request("GET", path), sizes.lists)
            rows.append(Row(f"{what}, {stored:,} objects stored", took, "ms"))
        connection.close()
    return rows


async def _version(connection: Connection, target: Target, path: str) -> str:
    body = json.loads(await connection.fetch(target.request("GET", path)))
    return str(body["metadata"]["resourceVersion"])


Measure = Callable[[LocalCluster, Target, Sizes], Awaitable[list[Row]]]
MEASURES: Final[tuple[tuple[Measure, ...], ...]] = (
    (creates, gets, lists, fan_out, stored_pods, growth),
    (idle_watchers,),
    (lonely_watchers,),
)
"""What shares a cluster."""


def _per_second(what: str, figure: float, real: float | None) -> Row:
    return Row(what, figure, "/s", real, more_is_better=True)


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
