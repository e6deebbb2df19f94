"""A server with one seat for everybody: what it says to those who get none, and how it measures itself."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiserver.config import ApiServerConfig
from apiserver.http import flow_bootstrap
from apiserver.server import ApiServer
from apiserver.storage.interface import Stored
from tests.support.slow_storage import SlowStorage

MAPS = "/api/v1/namespaces/default/configmaps"
SLOW = f"{MAPS}/slow"
KINDS = ("flowschemas", "prioritylevelconfigurations")


def play(tmp_path: Path, scene: Any, **config: Any) -> None:
    async def main() -> None:
        storage = SlowStorage("/slow")
        tokens = tmp_path / "tokens.csv"
        tokens.write_text("ann,ann,1\nroot,root,2,system:masters\n")
        server = ApiServer(
            ApiServerConfig(
                bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path, token_auth_file=tokens, **config
            ),
            storage,
        )
        await server.start()
        try:
            async with (
                asyncio.timeout(20),
                aiohttp.ClientSession(f"https://127.0.0.1:{server.port}") as session,
            ):
                await scene(Asker(session, server), storage)
        finally:
            storage.let.set()
            await server.stop()

    asyncio.run(main())


class Asker:
    def __init__(self, session: aiohttp.ClientSession, server: ApiServer) -> None:
        self._session = session
        self.server = server

    async def ask(self, path: str, token: str = "ann", **headers: str) -> tuple[int, Any, str]:
        named = {"Authorization": f"Bearer {token}", **headers}
        async with self._session.get(path, headers=named, ssl=False) as answer:
            return answer.status, answer.headers, await answer.text()

    async def until(self, path: str, key: str) -> str:
        """The header, as soon as the server has it: the stored objects are read after the start."""
        while True:
            _, headers, _ = await self.ask(path)
            if headers.get(key):
                return str(headers[key])


@pytest.mark.parametrize("fair", [True, False])
def test_who_finds_no_seat_is_told_when_to_come_again(tmp_path: Path, fair: bool) -> None:
    async def scene(asker: Asker, storage: SlowStorage) -> None:
        holding = asyncio.create_task(asker.ask(SLOW))
        await storage.asked.wait()
        status, headers, text = await asker.ask(MAPS)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert (text, headers["Content-Type"]) == (
            "Too many requests, please try again later.\n",
            "text/plain; charset=utf-8",
        )
        assert (await asker.ask(MAPS, token="root"))[0] == 200
        storage.let.set()
        assert (await holding)[0] == 404
        assert (await asker.ask(MAPS))[0] == 200
        _, _, text = await asker.ask("/metrics", token="root")
        assert 'apiserver_dropped_requests_total{request_kind="readOnly"} 1.0' in text

    play(
        tmp_path,
        scene,
        max_requests_inflight=1,
        max_mutating_requests_inflight=0,
        enable_priority_and_fairness=fair,
        request_timeout=4.0 if fair else 60.0,  # a quarter of it is waited for a seat
    )


def test_answers_name_schema_and_level_by_uid(tmp_path: Path) -> None:
    async def scene(asker: Asker, storage: SlowStorage) -> None:
        uid = await asker.until(MAPS, "X-Kubernetes-PF-FlowSchema-UID")
        prefix = "/apis/flowcontrol.apiserver.k8s.io/v1"
        _, _, text = await asker.ask(f"{prefix}/flowschemas/global-default")
        assert f'"uid":"{uid}"' in text
        _, headers, _ = await asker.ask(MAPS)
        _, _, text = await asker.ask(f"{prefix}/prioritylevelconfigurations/global-default")
        assert f'"uid":"{headers["X-Kubernetes-PF-PriorityLevel-UID"]}"' in text

    play(tmp_path, scene)


def test_the_stored_objects_are_left_alone_when_they_are_right(tmp_path: Path) -> None:
    async def scene(asker: Asker, storage: SlowStorage) -> None:
        async def everything() -> dict[str, Stored]:
            listed = [await storage.list(f"/registry/{kind}/") for kind in KINDS]
            return {stored.key: stored for one in listed for stored in one.items}

        await asker.until(MAPS, "X-Kubernetes-PF-PriorityLevel-UID")
        await flow_bootstrap.reconcile(asker.server.services)
        before = await everything()
        await flow_bootstrap.reconcile(asker.server.services)
        after = await everything()
        assert {key: after[key] for key in before} == before
        changed = before["/registry/prioritylevelconfigurations/catch-all"]
        spoilt = changed.value.replace(b'"nominalConcurrencyShares":5', b'"nominalConcurrencyShares":500')
        await storage.update(changed.key, spoilt, changed.revision)
        await flow_bootstrap.reconcile(asker.server.services)
        now, _ = await storage.get(changed.key)
        assert now is not None
        assert b'"nominalConcurrencyShares":5,' in now.value

    play(tmp_path, scene)


def test_metrics_have_the_names_of_the_original(tmp_path: Path) -> None:
    async def scene(asker: Asker, storage: SlowStorage) -> None:
        await asker.ask(MAPS)
        await asker.ask(f"{MAPS}/none")
        await asker.ask("/apis/evil.example.com/v1/namespaces/x/whatever")
        await asker.ask(MAPS, token="wrong")
        status, headers, text = await asker.ask("/metrics")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
        labels = 'group="",resource="configmaps",scope="{}",subresource="",verb="{}",version="v1"'
        for scope, verb, code in (("namespace", "LIST", 200), ("resource", "GET", 404)):
            wanted = {*labels.format(scope, verb).split(","), f'code="{code}"', 'component="apiserver"'}
            lines = [set(m[1].split(",")) for m in re.finditer(r"apiserver_request_total{(.*)} 1.0", text)]
            assert wanted in lines
        for name in (
            "apiserver_request_duration_seconds_bucket",
            "apiserver_response_sizes_sum",
            "apiserver_current_inflight_requests",
            "apiserver_storage_objects",
            "apiserver_watch_cache_resource_version",
            "apiserver_flowcontrol_dispatched_requests_total",
            "apiserver_flowcontrol_nominal_limit_seats",
            "authorization_attempts_total",
            "process_resident_memory_bytes",
            "etcd_request_duration_seconds_count",
        ):
            assert f"\n{name}" in text, name
        assert 'authentication_attempts_total{result="failure"} 1.0' in text
        assert "evil" not in text, "strangers make no series"

    play(tmp_path, scene)
