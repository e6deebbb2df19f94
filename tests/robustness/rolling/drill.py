"""One drill: traffic and watchers through the failover endpoint, every master restarted in turn, a verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from components.client.kubeconfig import load
from components.client.resources import CONFIG_MAPS
from components.client.transport import ApiClient
from tests.robustness.rolling.history import MARK, NAMESPACE, Requests, Seen
from tests.robustness.rolling.informers import Informer, SdkWatch
from tests.robustness.rolling.traffic import KeepAlive, Sdk
from tests.support.local_cluster import LocalCluster, eventually

QUIET_SECONDS = 30.0


@dataclass(frozen=True)
class Size:
    """How much of each."""

    informers: int = 8
    sdk_watches: int = 2
    sdk_clients: int = 1
    keep_alive: int = 2
    kubectls: int = 1
    masters: tuple[str, ...] = ("m1", "m2", "m3")
    rounds: int = 1


@dataclass
class Verdict:
    problems: list[str]
    requests: list[Requests]
    seen: list[Seen]

    def __str__(self) -> str:
        answered = sum(r.answered for r in self.requests)
        repeated = sum(r.repeated for r in self.requests)
        slowest = max((r.slowest for r in self.requests), default=0.0)
        events = sum(len(s.revisions) for s in self.seen)
        return (
            f"{answered} requests answered, {repeated} repeated by their clients, slowest {slowest:.2f} s; "
            f"{events} events at {len(self.seen)} watchers; {len(self.problems)} problems"
        )


async def drill(cluster: LocalCluster, size: Size, say: Callable[[str], None] = print) -> Verdict:
    informers = [Informer(cluster.kubeconfig, number) for number in range(size.informers)]
    watches = [SdkWatch(cluster.kubeconfig, number) for number in range(size.sdk_watches)]
    for watch in watches:
        watch.start()
    seen = [watcher.seen for watcher in (*informers, *watches)]
    await _until(lambda: all(one.lists for one in seen))
    asking = [KeepAlive(cluster.kubeconfig, n) for n in range(size.keep_alive)]
    asking += [KeepAlive(cluster.kubeconfig, n, fresh=True) for n in range(size.kubectls)]
    sdks = [Sdk(cluster.kubeconfig, number) for number in range(size.sdk_clients)]
    for sdk in sdks:
        sdk.start()
    try:
        for _ in range(size.rounds):
            for master in size.masters:
                await asyncio.to_thread(restart, cluster, master)
                say(f"{master} restarted")
        for sdk in sdks:
            sdk.close()
        await asyncio.gather(*(asyncio.to_thread(sdk.join, 20) for sdk in sdks))
        await asyncio.gather(*(client.close() for client in asking))
        requests = [client.requests for client in (*asking, *sdks)]
        written = [revision for one in requests for revision in one.written]
        written.append(await _mark(cluster))
        with contextlib.suppress(TimeoutError):  # the verdict says who has missed what
            await _until(lambda: all(one.last == MARK or one.failures for one in seen))
    finally:
        await asyncio.gather(*(informer.close() for informer in informers))
    problems = [problem for one in seen for problem in one.problems(written)]
    problems += [f"{one.who}: {failure}" for one in requests for failure in one.failures]
    return Verdict(problems, requests, seen)


def restart(cluster: LocalCluster, master: str) -> None:
    """As an operator does it: told to end, waited for, started, waited for."""
    cluster.kuberaft("kill", master, "--signal", "TERM")
    eventually(lambda: _state(cluster, master) not in ("ready", "running", "starting"), f"{master} has ended")
    eventually(lambda: not _running(cluster, master), f"{master} has ended")
    cluster.kuberaft("start", master)
    eventually(lambda: _state(cluster, master) == "ready", f"{master} is ready")


def _state(cluster: LocalCluster, name: str) -> str:
    return next(str(p["state"]) for p in cluster.status()["processes"] if p["name"] == name)


def _running(cluster: LocalCluster, name: str) -> bool:
    return name in cluster.process_ids()


async def _mark(cluster: LocalCluster) -> int:
    """The last write, and its revision."""
    async with ApiClient(load(cluster.kubeconfig), user_agent="drill") as client:
        obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": MARK, "namespace": NAMESPACE}}
        return int((await client.create(CONFIG_MAPS, obj))["metadata"]["resourceVersion"])


async def _until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(QUIET_SECONDS):
        while not probe():  # noqa: ASYNC110 - threads are waited for, too
            await asyncio.sleep(0.05)
