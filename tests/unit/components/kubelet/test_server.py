"""The kubelet's server over HTTP, its containers real: logs, statistics, health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from components.client.resources import PODS
from components.client.testing import FakeApi
from components.kubelet.server.app import KubeletServer
from tests.unit.components.kubelet.test_kubelet import kubelet, pod, script, until


@contextlib.asynccontextmanager
async def serving(root: Path, api: FakeApi) -> AsyncIterator[aiohttp.ClientSession]:
    """Without TLS here: the certificate check is the ssl module's, the routes are ours."""
    async with kubelet(root, api) as agent:
        server = KubeletServer(agent.config, agent, agent.runtime)
        runner = web.AppRunner(server.application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession(base) as session:
                yield session
        finally:
            await runner.cleanup()


async def run_waiting(api: FakeApi, go: Path) -> None:
    """A pod `p` that runs, has said `one`, and says `two` once there is such a file."""
    waiting = script(
        "c",
        "echo one; until [ -e $GO ]; do sleep 0.02; done; echo two",
        env=[{"name": "GO", "value": str(go)}],
    )
    await api.create(PODS, pod("p", waiting, restartPolicy="Never"), namespace="default")
    await until(api, "p", lambda s: s.get("phase") == "Running")


def test_logs_follow_the_container_to_its_end(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with serving(tmp_path, api) as http:
            await run_waiting(api, tmp_path / "go")
            async with http.get("/containerLogs/default/p/c?follow=true") as response:
                assert await response.content.readline() == b"one\n"
                (tmp_path / "go").touch()
                assert await response.read() == b"two\n"
            async with http.get("/containerLogs/default/p/c?tailLines=1&timestamps=true") as response:
                assert (await response.text()).endswith("Z two\n")
            for path, code in (
                ("default/p/x", 404),
                ("default/q/c", 404),
                ("default/p/c?previous=true", 400),
            ):
                async with http.get(f"/containerLogs/{path}") as response:
                    assert response.status == code

    asyncio.run(body())


def test_a_reader_of_logs_may_go_at_any_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        api = FakeApi()
        async with serving(tmp_path, api) as http:
            await run_waiting(api, tmp_path / "go")
            async with http.get("/containerLogs/default/p/c?follow=true") as response:
                assert await response.content.readline() == b"one\n"
            (tmp_path / "go").touch()
            await until(api, "p", lambda s: s.get("phase") == "Succeeded")

    asyncio.run(body())
    assert "Error handling request" not in caplog.text


def test_logs_of_a_container_that_waits(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with serving(tmp_path, api) as http:
            await api.create(PODS, pod("crash", script("c", "echo boom; exit 2")), namespace="default")
            await api.create(PODS, pod("bad", {"name": "c", "image": "nginx"}), namespace="default")
            for name, reason in (("crash", "CrashLoopBackOff"), ("bad", "ErrImagePull")):
                await until(api, name, lambda s, reason=reason: reason in str(s.get("containerStatuses")))  # type: ignore[misc]
            async with http.get("/containerLogs/default/crash/c?previous=true") as response:
                assert await response.text() == "boom\n"
            async with http.get("/containerLogs/default/bad/c") as response:
                text = await response.text()
            assert response.status == 400
            assert text.endswith("is waiting to start: image can't be pulled\n")

    asyncio.run(body())


def test_statistics_and_health(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with serving(tmp_path, api) as http:
            await api.create(PODS, pod("p", script("c", "sleep 100")), namespace="default")
            await until(api, "p", lambda s: s.get("phase") == "Running")
            async with http.get("/metrics/resource") as response:
                text = await response.text()
            assert 'container_memory_working_set_bytes{container="c",namespace="default",pod="p"} ' in text
            assert "node_cpu_usage_seconds_total " in text
            async with http.get("/stats/summary") as response:
                found = (await response.json())["pods"][0]
            assert found["podRef"]["name"] == "p"
            assert found["containers"][0]["memory"]["rssBytes"] > 0
            async with http.get("/healthz") as response:
                assert await response.text() == "ok"

    asyncio.run(body())
