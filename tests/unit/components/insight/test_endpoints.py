"""The endpoints of one master over a store in memory: what they answer, to whom, and what they refuse."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import msgspec
import pytest

from apiserver.api.journal import Journal, ObjectRef
from apiserver.storage.interface import Unavailable
from components.client.activity import Activity
from components.client.kubeconfig import ClientConfig
from components.client.transport import ApiClient
from components.insight import ask
from components.insight.endpoints import Insight
from kvstore.types import ResponseHeader, StatusResponse
from tests.support.api import Api, serving

MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PREFIX = "/kuberaft/v1"


class LoneMember:
    """The part of a store member that is looked at, of a cluster of one."""

    id, leader_id, is_leader, is_learner = 1, 1, True, False
    config = SimpleNamespace(name="m1")

    def member_list(self) -> list[Any]:
        return [SimpleNamespace(name="m1", id=1)]

    def member_name(self, _: int | None) -> str:
        return "m1"

    def compact_revision(self) -> int:
        return 0

    def sync_times(self) -> list[float]:
        return [0.001, 0.002]

    def round_trips(self) -> dict[int, float]:
        return {}

    async def read_index(self) -> int:
        return 1

    async def status(self) -> StatusResponse:
        return StatusResponse(header=ResponseHeader(revision=9), version="3.6.0", raft_index=5, raft_term=2)


def play(folder: Path, scene: Callable[[Api, Activity], Awaitable[None]]) -> None:
    async def main() -> None:
        activity = Activity(Journal("m1", _now))
        async with serving(folder, journal=activity.journal) as api:
            insight = Insight(api.server.services, cast(Any, LoneMember()), activity, _now)
            api.server.extend(insight)
            try:
                await scene(api, activity)
            finally:
                await insight.close()

    asyncio.run(main())


def _now() -> datetime:
    return datetime.now(UTC)


def config_map(value: str, **metadata: Any) -> Any:
    return {"kind": "ConfigMap", "metadata": {"name": "cm", **metadata}, "data": {"a": value}}


async def get(api: Api, path: str, **how: Any) -> Any:
    answer = await api.ask("GET", PREFIX + path, **how)
    assert answer.code == 200, answer
    return answer.body


def test_records_why_revisions_and_differences_of_one_object(tmp_path: Path) -> None:
    async def scene(api: Api, _: Activity) -> None:
        first = await api.create(MAPS, config_map("1"))
        second = (await api.ask("PUT", f"{MAPS}/cm", config_map("2"))).body
        await api.ask("DELETE", f"{MAPS}/cm")
        place = "resource=configmaps&namespace=default&name=cm"
        listed = await get(api, f"/records?{place}")
        assert [record["detail"]["verb"] for record in listed["records"]] == ["create", "update", "delete"]
        assert listed["missing"] == []
        found = await get(api, f"/revisions?{place}")
        assert (found["oldest"], found["current"] > 1) == (1, True)
        told = [(one["type"], one["user"]) for one in found["revisions"]]
        assert told == [("created", "admin"), ("modified", "admin"), ("deleted", "admin")]
        sides = [one["metadata"]["resourceVersion"] for one in (first, second)]
        compared = await get(api, f"/diff?{place}&from={sides[0]}&to={sides[1]}")
        assert compared["changes"] == [{"path": "/data/a", "from": "1", "to": "2"}]
        why = await get(api, "/why?resource=cm&name=cm")
        assert why["headline"] == "There is no ConfigMap default/cm."
        assert "admin deleted it." in [fact["text"] for fact in why["facts"]]
        story = await get(api, f"/story?{place}")
        assert [entry["step"] for entry in story["entries"]] == ["request", "revision", "watch"] * 3

    play(tmp_path, scene)


def test_a_family_goes_up_and_down(tmp_path: Path) -> None:
    async def scene(api: Api, _: Activity) -> None:
        apps = "/apis/apps/v1/namespaces/default"
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        top = await api.create(f"{apps}/deployments", {"metadata": {"name": "web"}, "spec": spec})
        middle = await api.create(
            f"{apps}/replicasets", {"metadata": _owned("web-1", top, "Deployment"), "spec": spec}
        )
        ports = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
        await api.create(
            "/api/v1/namespaces/default/services", {"metadata": {"name": "front"}, "spec": ports}
        )
        account = {"metadata": {"name": "default"}}
        await api.create("/api/v1/namespaces/default/serviceaccounts", account)
        metadata = {**_owned("web-1-x", middle, "ReplicaSet"), "labels": {"a": "b"}}
        pod = {"metadata": metadata, "spec": template["spec"]}
        await api.create("/api/v1/namespaces/default/pods", pod)
        of_pod = await get(api, "/story?resource=po&name=web-1-x")
        assert [one["relation"] for one in of_pod["family"]] == ["self", "owner", "owner", "selects"]
        story = await get(api, "/story?resource=deploy&name=web")
        assert [(one["kind"], one["name"], one["relation"]) for one in story["family"]] == [
            ("Deployment", "web", "self"),
            ("ReplicaSet", "web-1", "owned"),
            ("Pod", "web-1-x", "owned"),
            ("Service", "front", "selects"),
        ]
        assert {entry["object"]["name"] for entry in story["entries"]} == {"web", "web-1", "web-1-x", "front"}
        await api.ask("DELETE", f"{apps}/deployments/web")
        story = await get(api, "/story?resource=deploy&name=web")
        assert {entry["object"]["name"] for entry in story["entries"]} == {"web", "web-1", "web-1-x"}
        story = await get(api, "/story?resource=rs&name=web-1")
        assert len(story["family"]) == 3
        story = await get(api, "/story?resource=po&name=web-1-x")
        assert [one["relation"] for one in story["family"]] == ["self", "owner", "selects"]

    play(tmp_path, scene)


def _owned(name: str, owner: Any, kind: str) -> Any:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"],
                 "uid": owner["metadata"]["uid"], "controller": True}  # fmt: skip
    return {"name": name, "ownerReferences": [reference]}


def test_who_may_ask_and_whose_content_is_shown(tmp_path: Path) -> None:
    async def scene(api: Api, _: Activity) -> None:
        secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}}
        made = await api.create(SECRETS, secret)
        revision = made["metadata"]["resourceVersion"]
        await api.ask("PUT", f"{SECRETS}/s", {**secret, "stringData": {"p": "hunter2", "q": "hunter2"}})
        asked = {"token": "aliceToken"}
        assert (await api.ask("GET", f"{PREFIX}/cluster", **asked)).code == 403
        assert (await api.ask("GET", f"{PREFIX}/cluster", token=None)).code in (401, 403)
        subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "kuberaft:insight", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "a"}, "subjects": [subject], "roleRef": role}
        await api.create(f"{RBAC}/clusterrolebindings", binding)
        place = "resource=secrets&name=s"
        for path in ("records", f"why?{place}", f"story?{place}", "controllers", "cluster"):
            answer = await _until_allowed(api, f"{PREFIX}/{path}")
            assert b"hunter2" not in msgspec.json.encode(answer)
            assert b"aHVudGVyMg" not in msgspec.json.encode(answer)
            assert (answer.get("lastChange") or {}).get("fields", []) in ([], ["/data"])
        for path in (f"revisions?{place}", f"diff?{place}&from={revision}&to={revision}"):
            refused = await api.ask("GET", f"{PREFIX}/{path}", **asked)
            assert refused.code == 403
            assert 'cannot get resource "secrets"' in refused.message
        assert len((await get(api, f"/revisions?{place}"))["revisions"]) == 2

    play(tmp_path, scene)


async def _until_allowed(api: Api, path: str) -> Any:
    """The role is stored a moment after the server has begun to serve."""
    async with asyncio.timeout(10):
        while (answer := await api.ask("GET", path, token="aliceToken")).code == 403:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert answer.code == 200
    return answer.body


@pytest.mark.parametrize(
    ("method", "path", "code", "text"),
    [
        ("GET", "/nothing", 404, "could not find"),
        ("POST", "/records", 405, "does not allow"),
        ("GET", "/records?since=yesterday", 400, "since"),
        ("GET", "/records?limit=0", 400, "limit"),
        ("GET", "/why?resource=pods", 400, "resource and name must be given"),
        ("GET", "/why?resource=gadgets&name=x", 404, "doesn't have a resource type"),
        ("GET", "/diff?resource=cm&name=cm&from=x&to=1", 400, "from: 'x' is no revision"),
        ("GET", "/diff?resource=cm&name=cm&from=1&to=99999999", 400, "future revision"),
    ],
)
def test_refusals(tmp_path: Path, method: str, path: str, code: int, text: str) -> None:
    async def scene(api: Api, _: Activity) -> None:
        answer = await api.ask(method, PREFIX + path)
        assert (answer.code, text in answer.message) == (code, True), answer

    play(tmp_path, scene)


def test_without_a_quorum_what_is_here_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(api: Api, _: Activity) -> None:
        await api.create(MAPS, config_map("1"))
        storage = api.server.services.storage
        get_stored = storage.get

        async def alone(key: str, *, min_revision: int = 0, linearizable: bool = True) -> Any:
            if linearizable:
                raise Unavailable("no quorum")
            return await get_stored(key, linearizable=False)

        monkeypatch.setattr(storage, "get", alone)
        why = await get(api, "/why?resource=cm&name=cm")
        assert "shows nothing that is known to be wrong" in why["headline"]
        assert why["lastChange"]["user"] == "admin"

    play(tmp_path, scene)


def test_the_cluster_and_its_controllers(tmp_path: Path) -> None:
    async def scene(api: Api, activity: Activity) -> None:
        node = {
            "metadata": {"name": "n1"},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "9"}},
        }
        await api.create("/api/v1/nodes", node)
        status = await get(api, "/cluster")
        (member,) = status["members"]
        assert (member["name"], member["role"], member["revision"]) == ("m1", "leader", 9)
        assert member["fsyncMs"] == {"p50": 2.0, "p99": 2.0}
        assert (status["leader"], status["term"], status["missing"]) == ("m1", 2, [])
        assert [node["name"] for node in status["nodes"]] == ["n1"]
        activity.scheduler = cast(Any, SimpleNamespace(lengths=lambda: {"active": 1}))
        activity.journal.note("scheduler", "decision", ObjectRef("pods", "", "default", "p"), "p goes", {})
        found = await get(api, "/controllers")
        assert found["scheduler"]["active"] == 1
        assert [record["summary"] for record in found["scheduler"]["last"]] == ["p goes"]

    play(tmp_path, scene)


def test_streams_of_records_and_of_the_cluster(tmp_path: Path) -> None:
    async def scene(api: Api, activity: Activity) -> None:
        async with _stream(api, "/records?watch=true") as lines:
            await api.create(MAPS, config_map("1"))
            line = msgspec.json.decode(await lines.readline())
            assert (line["type"], line["record"]["object"]["name"]) == ("RECORD", "cm")
        async with _stream(api, "/cluster?watch=true", Accept="text/event-stream") as lines:
            line = await lines.readline()
            assert msgspec.json.decode(line.removeprefix(b"data: "))["leader"] == "m1"

    play(tmp_path, scene)


class _stream:
    def __init__(self, api: Api, path: str, **headers: str) -> None:
        self._url = api.server.url + PREFIX + path
        self._headers = {"Authorization": "Bearer admintoken", **headers}

    async def __aenter__(self) -> aiohttp.StreamReader:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._answer = await self._session.get(self._url, headers=self._headers, ssl=context)
        assert self._answer.status == 200
        return self._answer.content

    async def __aexit__(self, *_: object) -> None:
        self._answer.close()
        await self._session.close()


def test_a_cluster_without_these_endpoints_is_asked_for_its_objects(tmp_path: Path) -> None:
    """As `kuberaft why` does with a real kube-apiserver."""

    async def main() -> None:
        async with serving(tmp_path) as api:
            held = config_map("1", finalizers=["example.com/hold"])
            await api.create(MAPS, held)
            await api.ask("DELETE", f"{MAPS}/cm")
            config = ClientConfig(server=api.server.url, token="admintoken", insecure_skip_tls_verify=True)
            async with ApiClient(config, user_agent="test") as client:
                assert await ask._asked(client, "why", ask.target_of("cm/cm", "default")) is None
                found = await ask._explained(client, ask.target_of("cm/cm", "default"))
                assert "the finalizer holds it: example.com/hold" in found["headline"]
                none = await ask._explained(client, ask.target_of("deployments.apps/x", "default"))
                assert none["headline"] == "There is no Deployment default/x."

    asyncio.run(main())
