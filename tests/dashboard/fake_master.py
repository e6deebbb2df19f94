"""A master that is busier than a test can make a real one: 1,000 pods, and as many events a second as asked for.

It serves the page's real files, and what the page asks for in the forms that insight and the API have. It decides
nothing: what is right is tested against real masters (`test_pages.py`), how much the page bears is tested here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from apiserver.auth.user import ANONYMOUS_USER
from components.dashboard.extension import Pages

BEGAN = "2026-01-01T00:00:00Z"


class FakeMaster:
    """`pods` there are; `rate` changes of pods and as many records a second go out in bursts of 50 ms."""

    def __init__(self, pods: int, rate: int) -> None:
        self.rate = rate
        self.pods = [pod(number) for number in range(pods)]
        self.revision = itertools.count(10_000)
        self.sent = 0
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[FakeMaster]:
        pages = Pages()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.path.startswith("/ui"):
                return await pages.handle(request, ANONYMOUS_USER)
            return await self._data(request)

        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ui/"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _data(self, request: web.BaseRequest) -> web.StreamResponse:
        watching = request.query.get("watch") == "true"
        name = request.path.rsplit("/", 1)[1]
        if watching:
            return await _stream(
                request, {"cluster": self._statuses, "records": self._records}.get(name, self._changes)
            )
        answers = {"cluster": self._status, "controllers": controllers, "drills": drills}
        return web.json_response(answers[name]() if name in answers else {"items": [], "records": []})

    def _status(self) -> dict[str, Any]:
        return cluster_status(next(self.revision))

    async def _statuses(self) -> AsyncIterator[list[dict[str, Any]]]:
        while True:
            yield [self._status()]
            await asyncio.sleep(0.5)

    async def _changes(self) -> AsyncIterator[list[dict[str, Any]]]:
        yield [{"type": "ADDED", "object": one} for one in self.pods]
        yield [bookmark(next(self.revision))]
        async for numbers in self._bursts():
            self.sent += len(numbers)
            yield [self._changed(number) for number in numbers]

    def _changed(self, number: int) -> dict[str, Any]:
        one = self.pods[number % len(self.pods)]
        one["metadata"]["resourceVersion"] = str(next(self.revision))
        one["status"]["containerStatuses"][0]["restartCount"] = number
        return {"type": "MODIFIED", "object": one}

    async def _records(self) -> AsyncIterator[list[dict[str, Any]]]:
        async for numbers in self._bursts():
            yield [{"type": "RECORD", "record": record(number)} for number in numbers]

    async def _bursts(self) -> AsyncIterator[range]:
        each, first = max(1, self.rate // 20), 0
        while True:
            await asyncio.sleep(0.05)
            yield range(first, first + each)
            first += each


async def _stream(request: web.BaseRequest, items: Any) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        async for burst in items():
            await response.write(b"".join(json.dumps(item).encode() + b"\n" for item in burst))
    except ConnectionError:
        pass
    return response


def pod(number: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-{number:04d}",
            "namespace": "default",
            "uid": f"uid-{number}",
            "resourceVersion": "1",
            "creationTimestamp": BEGAN,
        },
        "spec": {"nodeName": f"w{number % 4 + 1}", "containers": [{"name": "web", "image": "web:1"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if number % 9 else "False"}],
            "containerStatuses": [
                {"name": "web", "restartCount": 0, "state": {"running": {"startedAt": BEGAN}}}
            ],
        },
    }


def bookmark(revision: int) -> dict[str, Any]:
    annotations = {"k8s.io/initial-events-end": "true"}
    return {
        "type": "BOOKMARK",
        "object": {"metadata": {"resourceVersion": str(revision), "annotations": annotations}},
    }


def record(number: int) -> dict[str, Any]:
    name = f"web-{number % 1000:04d}"
    return {
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "source": ("apiserver", "scheduler", "controller", "kubelet")[number % 4],
        "instance": f"m{number % 3 + 1}",
        "component": "",
        "verb": "decision",
        "object": {"resource": "pods", "group": "", "namespace": "default", "name": name, "uid": name},
        "revision": number,
        "summary": f"did something to pod {name}",
        "detail": {},
    }


def cluster_status(revision: int) -> dict[str, Any]:
    def member(number: int) -> dict[str, Any]:
        return {
            "name": f"m{number}",
            "id": f"{number}f2e",
            "role": "leader" if number == 1 else "follower",
            "reachable": True,
            "ready": True,
            "revision": revision,
            "commitIndex": revision,
            "appliedIndex": revision - number,
            "term": 3,
            "dbSize": 4_000_000,
            "rttMs": None if number == 1 else 0.4,
            "fsyncMs": {"p50": 0.9, "p99": 3.2},
            "version": "1.36",
            "memoryBytes": 210_000_000,
            "cpu": 0.07,
        }

    return {
        "kind": "ClusterStatus",
        "time": BEGAN,
        "name": "large",
        "leader": "m1",
        "term": 3,
        "members": [member(number) for number in (1, 2, 3)],
        "nodes": [
            {"name": f"w{n}", "ready": True, "pods": 250, "cpu": 1.5, "memory": 2**31} for n in (1, 2, 3, 4)
        ],
    }


def controllers() -> dict[str, Any]:
    return {
        "controllers": [],
        "scheduler": {"instance": "m1", "active": 0, "backoff": 0, "unschedulable": 0, "last": []},
    }


def drills() -> dict[str, Any]:
    return {"kind": "DrillList", "drills": [], "runs": []}
