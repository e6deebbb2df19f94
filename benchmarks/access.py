"""What access control, admission and a thousand definitions of custom resources cost one API server.

Two servers over stores of their own take turns, request by request, so that whatever else the machine does hurts both
alike. One lets everybody do everything and has no admission. The other identifies a service account by its token, asks
RBAC with a thousand bindings, and runs every default admission plugin, with a LimitRange in the namespace. Goals: at
most 30 % more for a create, 15 % for a get; less than 100 MB and 5 s for a thousand definitions. A quota has no goal:
what it is charged is stored before the object is, here as in the original, so a create waits for the disk twice.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from benchmarks.http_load import Connection, Target
from benchmarks.server import Server, asked
from benchmarks.table import Row, show

_BINDINGS: Final = 1000
_CORE: Final = "/api/v1/namespaces/bench"
_LIMITED: Final = "/api/v1/namespaces/limited"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1/namespaces/bench"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_PUBLISHED: Final = Path("tests/e2e/definitions/published/prometheus-operator.json.gz")
_LIKE: Final = "servicemonitors.monitoring.coreos.com"  # 14 kB of JSON, as many have
_MEGABYTE: Final = (1 << 20) / 1e6
Object = dict[str, Any]


def main(*, short: bool = False) -> None:
    """Measure, print one table. About a minute; a third of it if `short`."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-bench-") as name:
        folder = Path(name)
        rows = uvloop.run(latencies(folder, 200 if short else 2000))
        rows += uvloop.run(definitions(folder / "definitions", 100 if short else 1000))
    show("Access control, admission and definitions: one API server, TLS", rows)


# ---- latency


async def latencies(folder: Path, rounds: int) -> list[Row]:
    with Server(folder / "bare", bare=True) as bare, Server(folder / "full") as full:
        await prepare(bare.target(), checked=False)
        token = await prepare(full.target(), checked=True)
        plain, checked = bare.target(), full.target(token)
        one, other = await plain.open(), await checked.open()

        async def compared(
            what: str, goal: str, ask: Callable[[Target, int], bytes], status: int
        ) -> list[Row]:
            took: tuple[list[float], list[float]] = ([], [])
            for number in range(rounds):
                for times, connection, target in ((took[0], one, plain), (took[1], other, checked)):
                    times.append(await timed(connection, ask(target, number), status))
            without, having = (1000 * median(times) for times in took)
            return [
                Row(f"{what}, nothing is checked", without, "ms"),
                Row(f"{what}, account + RBAC + admission", having, "ms"),
                Row(f"{what}: added ({goal})", 100 * (having / without - 1), "%"),
            ]

        rows = await compared("create pod", "goal: at most 30", pod, 201)
        rows += await compared("create config map", "goal: at most 30", config_map, 201)
        rows += await compared("get pod", "goal: at most 15", get_pod, 200)
        rows += await compared("create config map under a quota", "no goal", limited, 201)
        one.close()
        other.close()
    return rows


async def timed(connection: Connection, request: bytes, status: int) -> float:
    started = time.perf_counter()
    await connection.call(request, status)
    return time.perf_counter() - started


def post(target: Target, path: str, obj: Object) -> bytes:
    return target.request("POST", path, json.dumps(obj).encode())


def named(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name}, **more}


def pod(target: Target, number: int) -> bytes:
    resources = {"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}
    container = {"name": "c", "image": "kuberaft/pause", "resources": resources}
    spec = {"schedulerName": "none", "serviceAccountName": "runner", "containers": [container]}
    return post(target, f"{_CORE}/pods", named(f"p{number}", spec=spec))


def config_map(target: Target, number: int) -> bytes:
    return post(target, f"{_CORE}/configmaps", named(f"c{number}", data={"n": "0"}))


def limited(target: Target, number: int) -> bytes:
    return post(target, f"{_LIMITED}/configmaps", named(f"c{number}", data={"n": "0"}))


def get_pod(target: Target, number: int) -> bytes:
    return target.request("GET", f"{_CORE}/pods/p{number}")


async def prepare(target: Target, *, checked: bool) -> str:
    """The namespaces; with what is asked for every request where it is checked. The token of the account."""
    connection = await target.open()
    for namespace in ("bench", "limited"):
        await connection.call(post(target, "/api/v1/namespaces", named(namespace)), 201)
    await connection.call(post(target, f"{_CORE}/serviceaccounts", named("runner")), 201)
    token = ""
    if checked:
        for path, obj in policies():
            await connection.call(post(target, path, obj), 201)
        await take_up_quota(connection, target)
        request = post(target, f"{_CORE}/serviceaccounts/runner/token", {"spec": {}})
        token = str((await asked(connection, request, 201))["status"]["token"])
    connection.close()
    return token


def policies() -> list[tuple[str, Object]]:
    rule = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods", "configmaps"]}
    found = [(f"{_RBAC}/roles", named("runner", rules=[rule]))]
    found += [(f"{_RBAC.replace('bench', 'limited')}/{kind}", obj) for kind, obj in of_the_limited(rule)]
    for number in range(_BINDINGS):
        subject = {"kind": "ServiceAccount", "name": "runner" if number == _BINDINGS // 2 else f"s{number}"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"}
        binding = named(f"b{number}", roleRef=ref, subjects=[{**subject, "namespace": "bench"}])
        found.append((f"{_RBAC}/rolebindings", binding))
    limit = {"type": "Container", "max": {"cpu": "1"}, "default": {"memory": "64Mi"}}
    found.append((f"{_CORE}/limitranges", named("l", spec={"limits": [limit]})))
    return found


def of_the_limited(rule: Object) -> list[tuple[str, Object]]:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"}
    subject = {"kind": "ServiceAccount", "name": "runner", "namespace": "bench"}
    binding = named("runner", roleRef=ref, subjects=[subject])
    return [("roles", named("runner", rules=[rule])), ("rolebindings", binding)]


async def take_up_quota(connection: Connection, target: Target) -> None:
    """As the quota controller would."""
    hard = {"configmaps": "100000"}
    path = f"{_LIMITED}/resourcequotas"
    made = await asked(connection, post(target, path, named("q", spec={"hard": hard})), 201)
    made["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    await connection.call(target.request("PUT", f"{path}/q/status", json.dumps(made).encode()))


# ---- definitions


async def definitions(folder: Path, count: int) -> list[Row]:
    with Server(folder) as server:
        await served(server, 0)
        empty, empty_start = server.memory(), server.started
        await install(server.target(), count)
        await served(server, count)
        grown = server.memory()
    with Server(folder) as server:
        start = server.started
        await served(server, count)
        loaded = server.memory()
    goal = f"{count:,} definitions"
    return [
        Row("start to ready, no definitions", empty_start, "s"),
        Row(f"{goal}: added to the start (goal: less than 5)", start - empty_start, "s"),
        Row(f"{goal}: memory, just installed", (grown - empty) * _MEGABYTE, "MB"),
        Row(f"{goal}: memory, after a start (goal: less than 100)", (loaded - empty) * _MEGABYTE, "MB"),
    ]


async def served(server: Server, count: int) -> None:
    """Waits until discovery lists so many groups of ours, and asks for a list, as any client's first command does."""
    target = server.target()
    connection = await target.open()
    async with asyncio.timeout(60):
        while True:
            groups = (await asked(connection, target.request("GET", "/apis")))["groups"]
            if sum(group["name"].endswith("bench.example.com") for group in groups) == count:
                break
            await asyncio.sleep(0.1)
    await connection.call(target.request("GET", "/api/v1/pods"))
    connection.close()


async def install(target: Target, count: int) -> None:
    known = json.loads(gzip.decompress(_PUBLISHED.read_bytes()))
    base = next(definition for definition in known if definition["metadata"]["name"] == _LIKE)
    connection = await target.open()
    for number in range(count):
        group = f"g{number}.bench.example.com"
        spec = {**base["spec"], "group": group}
        await connection.call(post(target, _DEFINITIONS, named(f"servicemonitors.{group}", spec=spec)), 201)
    connection.close()


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
