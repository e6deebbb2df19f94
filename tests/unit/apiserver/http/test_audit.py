"""A server that keeps an audit log: which requests leave which lines."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiserver.config import ApiServerConfig, ConfigError
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - {level: None, nonResourceURLs: ["/readyz*"]}
  - {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], omitStages: [RequestReceived]}
  - {level: Metadata}
"""
MAPS = "/api/v1/namespaces/default/configmaps"


def play(tmp_path: Path, scene: Callable[[Any, ApiServer], Awaitable[None]]) -> list[dict[str, Any]]:
    """The lines of the log after the server has ended."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "tokens.csv").write_text("ann,ann,1\nroot,root,2,system:masters\n")

    async def main() -> None:
        config = ApiServerConfig(
            bind_address="127.0.0.1",
            secure_port=0,
            cert_dir=tmp_path,
            token_auth_file=tmp_path / "tokens.csv",
            authorization_mode=("RBAC",),
            audit_policy_file=tmp_path / "policy.yaml",
            audit_log_path=str(tmp_path / "audit.log"),
            verbosity=3,
        )
        server = ApiServer(config, MemoryStorage())
        await server.start()
        try:
            async with (
                asyncio.timeout(20),
                aiohttp.ClientSession(f"https://127.0.0.1:{server.port}") as session,
            ):

                async def ask(
                    method: str, path: str, token: str = "root", **options: Any
                ) -> aiohttp.ClientResponse:
                    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
                    async with session.request(method, path, headers=headers, ssl=False, **options) as answer:
                        await answer.read()
                        return answer

                await scene(ask, server)
        finally:
            await server.stop()

    asyncio.run(main())
    return [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]


def test_what_a_request_leaves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scene(ask: Any, server: ApiServer) -> None:
        await ask("GET", "/readyz")
        obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}}
        answer = await ask("POST", MAPS, json=obj, headers={"Audit-Id": "mine", "User-Agent": 'a"\nb'[:2]})
        assert answer.headers["Audit-Id"] == "mine"
        await ask("GET", "/api/v1/nodes/none", token="ann")
        await ask("GET", "/version", token="wrong")

    lines = play(tmp_path, scene)
    created, received, refused, stranger = lines
    assert (created["auditID"], created["stage"], created["level"], created["verb"]) == (
        "mine", "ResponseComplete", "RequestResponse", "create",
    )  # fmt: skip
    assert created["requestObject"]["data"] == {"k": "v"}
    assert created["responseObject"]["metadata"]["uid"]
    assert created["responseStatus"] == {"metadata": {}, "code": 201}
    assert created["objectRef"] == {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert created["sourceIPs"] == ["127.0.0.1"]
    assert (received["stage"], refused["stage"]) == ("RequestReceived", "ResponseComplete")
    assert received["auditID"] == refused["auditID"]
    assert refused["annotations"] == {
        "authorization.k8s.io/decision": "forbid",
        "authorization.k8s.io/reason": "",
    }
    assert (refused["responseStatus"]["code"], refused["responseStatus"]["reason"]) == (403, "Forbidden")
    assert "responseObject" not in refused
    assert (stranger["stage"], stranger["responseStatus"]["code"]) == ("ResponseStarted", 401)
    assert stranger["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
    access = [r.getMessage() for r in caplog.records if r.name.endswith("filters.access")]
    assert re.fullmatch(
        r'"HTTP" verb="CREATE" URI="/api/v1/namespaces/default/configmaps" latency="[\d.]+ms" userAgent="a\\"" '
        r'audit-ID="mine" srcIP="127.0.0.1" user="root" resp=201',
        access[1],
    )


def test_a_watch_leaves_a_line_when_it_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    async def scene(ask: Any, server: ApiServer) -> None:
        headers = {"Impersonate-User": "ann", "Impersonate-Group": "system:masters"}
        await ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1", headers=headers)

    lines = play(tmp_path, scene)
    assert [line["impersonatedUser"]["username"] for line in lines] == ["ann", "ann"]
    assert [(line["stage"], line["verb"], line["responseStatus"]["code"]) for line in lines] == [
        ("ResponseStarted", "watch", 200),
        ("ResponseComplete", "watch", 200),
    ]


def test_what_nobody_expected_is_a_panic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(ask: Any, server: ApiServer) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("no idea")

        monkeypatch.setattr(server.services.authorizer, "authorize", broken)
        assert (await ask("GET", f"{MAPS}/x")).status == 500

    lines = play(tmp_path, scene)
    assert [line["stage"] for line in lines] == ["Panic"]
    assert lines[0]["responseStatus"]["message"] == "APIServer panic'd: RuntimeError: no idea"


def test_a_policy_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace("None", "Nothing"))
    with pytest.raises(ConfigError, match=r"--audit-policy-file .*: rules\[0\].level: Unsupported value"):
        ApiServer(ApiServerConfig(cert_dir=tmp_path, audit_policy_file=path), MemoryStorage())
