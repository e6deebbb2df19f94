"""An extension API server behind a real API server: availability, requests, discovery, documents."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.api import ADMIN, Api, serving
from tests.support.extension_server import (
    BASE,
    GROUP,
    NAME,
    NAMESPACE,
    NODE_METRICS,
    OBJECT_META,
    VERSION,
    ExtensionServer,
)
from tests.support.pki import Pki
from tests.support.tools import require_tool

APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
OWN = f"{APISERVICES}/{VERSION}.{GROUP}"
AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
Object = dict[str, Any]


def _conditions(event: Object) -> list[Object]:
    return (event["object"].get("status") or {}).get("conditions") or []


class Stage:
    """An API server with an extension server that is registered at it."""

    def __init__(self, runner: asyncio.Runner, api: Api, extension: ExtensionServer) -> None:
        self._runner = runner
        self.api = api
        self.extension = extension

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._runner.run(asyncio.wait_for(work, 60))

    async def registered(self, **spec: Any) -> None:
        for path, obj in self.extension.objects():
            await self.api.create(path, obj)
        await self.api.create(APISERVICES, self.extension.api_service(**spec))

    async def condition(self, wanted: str, path: str = OWN) -> Object:
        """The condition Available as soon as its reason is the wanted one."""

        def reason(event: Object) -> bool:
            return any(condition["reason"] == wanted for condition in _conditions(event))

        event = await self.event(path, reason)
        return next(condition for condition in _conditions(event) if condition["reason"] == wanted)

    async def event(self, path: str, wanted: Callable[[Object], bool], since: str = "") -> Object:
        """Of one object: the first that is wanted. ``since``: after this resourceVersion."""
        collection, _, name = path.rpartition("/")
        query = f"?watch=1&fieldSelector=metadata.name={name}&resourceVersion={since}"
        async with asyncio.timeout(20), self.open(collection + query) as lines:
            async for line in lines.content:
                event: Object = json.loads(line)
                if wanted(event):
                    return event
        raise AssertionError(path)

    async def served(self) -> None:
        """Until the server is available to the router and its documents are merged, of which nobody tells."""
        await self.condition("Passed")
        async with asyncio.timeout(20):
            while not await self._merged():  # noqa: ASYNC110  # nothing to wait for but the state itself
                await asyncio.sleep(0.02)

    async def _merged(self) -> bool:
        if "resources" not in await self.version_entry():
            return False
        return BASE[1:] in (await self.api.ask("GET", "/openapi/v3")).body["paths"]

    async def version_entry(self) -> Object:
        listed = (await self.api.ask("GET", "/apis", headers=AGGREGATED)).body["items"]
        group = next(item for item in listed if item["metadata"]["name"] == GROUP)
        found: Object = group["versions"][0]
        return found

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(self.api.server.url + path, ssl=context) as answer,
        ):
            yield answer


async def allow(api: Api, user: str) -> None:
    """Everything in the group."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["*"]}]
    await api.create(f"{rbac}/clusterroles", {"metadata": {"name": "metrics"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "metrics"}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    binding = {"metadata": {"name": "metrics"}, "roleRef": reference, "subjects": subjects}
    await api.create(f"{rbac}/clusterrolebindings", binding)


@contextmanager
def staged(folder: Path, *, modern: bool = True, **spec: Any) -> Iterator[Stage]:
    proxies = Pki(folder / "proxies")
    front = proxies.issue("front-proxy-client")
    flags = {
        "proxy_client_cert_file": front.cert,
        "proxy_client_key_file": front.key,
        "requestheader_client_ca_file": proxies.ca,
        "requestheader_uid_headers": ("X-Remote-Uid",),
        "requestheader_allowed_names": ("front-proxy-client",),
        "allow_loopback_endpoints": True,
        "enable_aggregator_routing": True,
    }
    with asyncio.Runner() as runner:
        extension = ExtensionServer(folder, proxies, modern=modern)
        runner.run(extension.start())
        served = serving(folder, **flags)
        stage = Stage(runner, runner.run(served.__aenter__()), extension)
        try:
            runner.run(stage.registered(**spec))
            yield stage
        finally:
            runner.run(served.__aexit__(None, None, None))
            runner.run(extension.stop())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as found:
        found.run(found.served())
        yield found


def test_a_request_goes_to_its_server_and_says_who_makes_it(stage: Stage) -> None:
    async def body() -> None:
        api = stage.api
        nodes = await api.ask("GET", f"{BASE}/nodes")
        assert (nodes.code, nodes.body["kind"]) == (200, "NodeMetricsList")
        await allow(api, "zoé")
        spoof = {
            "X-Remote-User": "root",
            "X-Remote-Group": "system:masters",
            "X-Remote-Uid": "0",
            "X-Remote-Extra-Scopes": "all",
            "X_Remote_User": "root",
            "Impersonate-Extra-A%2fB": "c",
            "Impersonate-User": "zoé",
            "Impersonate-Uid": "u-1",
            "Impersonate-Group": "dev",
        }
        found = (await api.ask("POST", f"{BASE}/whoami", {"a": 1}, headers=spoof)).body
        assert found["user"] == "zoé"
        assert found["groups"] == ["dev", "system:authenticated"]
        assert (found["uid"], found["extra"]) == ("u-1", {"a%2Fb": "c"})
        assert (found["method"], found["body"]) == ("POST", '{"a":1}')
        seen = stage.extension.seen[f"{BASE}/whoami"]
        assert not {"Authorization", "Impersonate-User", "X_Remote_User"} & set(seen)
        assert seen["Host"].startswith("127.0.0.1:")
        assert seen["Audit-Id"]

    stage.run(body())


def test_a_client_without_rights_gets_no_further(stage: Stage) -> None:
    async def body() -> None:
        refused = await stage.api.ask("GET", f"{BASE}/nodes", token="aliceToken")
        assert refused.code == 403
        assert 'cannot list resource "nodes" in API group "metrics.k8s.io"' in refused.message

    stage.run(body())


def test_watches_and_websockets_are_streamed(stage: Stage) -> None:
    async def body() -> None:
        async with asyncio.timeout(20), stage.open(f"{BASE}/nodes?watch=1") as answer:
            lines = [json.loads(line)["type"] async for line in answer.content]
        assert lines == ["ADDED", "MODIFIED"]
        async with asyncio.timeout(20), stage.open(f"{BASE}/nodes?watch=held") as answer:
            first = await answer.content.readline()  # while the server still holds the answer
        assert json.loads(first)["type"] == "ADDED"
        headers = {"Authorization": f"Bearer {ADMIN}", "X-Remote-User": "root"}
        async with (
            asyncio.timeout(20),
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(
                f"{stage.api.server.url}{BASE}/namespaces/d/pods/p/attach", ssl=False
            ) as socket,
        ):
            await socket.send_str("hello")
            assert (await socket.receive()).data == "echo hello"
        assert stage.extension.seen[f"{BASE}/namespaces/d/pods/p/attach"].getall("X-Remote-User") == ["admin"]

    stage.run(body())


def test_discovery_tells_of_it_in_its_place(stage: Stage) -> None:
    async def body() -> None:
        api = stage.api
        check(await stage.version_entry())
        groups = [group["name"] for group in (await api.ask("GET", "/apis")).body["groups"]]
        assert groups[:2] == ["apiregistration.k8s.io", "apps"]
        assert groups[-1] == GROUP  # its priority is the lowest
        found = await api.ask("GET", f"/apis/{GROUP}")
        version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        assert found.body["preferredVersion"] == version
        listed = await api.ask("GET", BASE)
        assert (listed.body["kind"], listed.body["groupVersion"]) == ("APIResourceList", f"{GROUP}/{VERSION}")
        paths = (await api.ask("GET", "/")).body["paths"]
        assert {f"/apis/{GROUP}", BASE} <= set(paths)

    stage.run(body())


def check(entry: Object) -> None:
    assert entry["freshness"] == "Current"
    assert [item["resource"] for item in entry["resources"]] == ["nodes", "pods"]
    assert entry["resources"][1]["responseKind"]["kind"] == "PodMetrics"
    assert entry["resources"][1]["scope"] == "Namespaced"


@pytest.mark.e2e
def test_kubectl_sees_it(stage: Stage, tmp_path: Path) -> None:
    kubectl = require_tool("kubectl")
    flags = ["--insecure-skip-tls-verify", "--cache-dir", str(tmp_path), "--token", ADMIN]

    async def asked(*args: str) -> list[list[str]]:
        command = [kubectl, "--server", stage.api.server.url, *flags, *args]
        done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await done.communicate()
        assert done.returncode == 0
        return [line.split() for line in output.decode().splitlines()]

    async def body() -> None:
        listed = {line[0]: line[1:3] for line in await asked("get", "apiservices")}
        assert listed[f"{VERSION}.{GROUP}"] == [f"{NAMESPACE}/{NAME}", "True"]
        assert listed["v1.apps"] == ["Local", "True"]
        node = {"metadata": {"name": "w1"}, "status": {"capacity": {"cpu": "1", "memory": "1Gi"}}}
        await stage.api.create("/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", **node})
        assert ["w1", "250m", "25%", "512Mi", "50%"] in await asked("top", "node")

    stage.run(body())


def test_openapi_is_merged(stage: Stage) -> None:
    async def body() -> None:
        api = stage.api
        index = (await api.ask("GET", "/openapi/v3")).body["paths"]
        url = index[BASE[1:]]["serverRelativeURL"]
        assert (await api.ask("GET", url)).body["info"]["title"] == "metrics"
        assert "ABC" not in index["version"]["serverRelativeURL"]  # no document of this server is replaced
        document = (await api.ask("GET", "/openapi/v2")).body
        operation = document["paths"][f"{BASE}/nodes"]["get"]
        name = operation["responses"]["200"]["schema"]["$ref"].rpartition("/")[2]
        reference = document["definitions"][name]["properties"]["metadata"]["$ref"]
        assert reference == f"#/definitions/{OBJECT_META}_v2"
        assert "as this server words it" in document["definitions"][f"{OBJECT_META}_v2"]["description"]
        assert document["definitions"][OBJECT_META]["properties"]
        assert "/healthz" not in document["paths"]

    stage.run(body())


def test_an_older_server_of_another_authority(tmp_path: Path) -> None:
    """Its availability is asked without a look at the certificate, as in the original; requests are not sent."""

    async def body() -> None:
        await stage.condition("Passed")
        refused = await stage.api.ask("GET", f"{BASE}/nodes")
        assert refused.code == 503
        assert b"certificate verify failed" in refused.body
        merge = {"Content-Type": "application/merge-patch+json"}
        trusting = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
        assert (await stage.api.ask("PATCH", OWN, trusting, headers=merge)).code == 200
        assert (await stage.api.ask("GET", f"{BASE}/nodes")).code == 200
        await stage.served()
        check(await stage.version_entry())
        url = (await stage.api.ask("GET", "/openapi/v3")).body["paths"][BASE[1:]]["serverRelativeURL"]
        document = (await stage.api.ask("GET", url)).body
        operation = document["paths"][f"{BASE}/nodes"]["get"]
        assert operation["parameters"] == [{"name": "limit", "in": "query", "schema": {"type": "integer"}}]
        wanted = {"schema": {"$ref": f"#/components/schemas/{NODE_METRICS}"}}
        assert operation["requestBody"] == {"content": {"application/json": wanted}, "required": True}
        assert operation["responses"]["200"]["content"] == {"application/json": wanted}
        assert set(document["components"]["schemas"]) == {NODE_METRICS, OBJECT_META}
        moved = await stage.api.ask("GET", f"/openapi/v3{BASE}?hash=old")
        assert moved.body == document  # by way of its own name

    other = base64.b64encode(Pki(tmp_path / "other").ca.read_bytes()).decode()
    with staged(tmp_path, modern=False, caBundle=other) as stage:
        stage.run(body())


def test_extension_servers_are_told_whom_to_believe(stage: Stage) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/extension-apiserver-authentication"

    async def body() -> None:
        event = await stage.event(path, lambda event: event["type"] == "ADDED")
        data = event["object"]["data"]
        assert data["requestheader-allowed-names"] == '["front-proxy-client"]'
        assert data["requestheader-username-headers"] == '["X-Remote-User"]'
        assert data["requestheader-uid-headers"] == '["X-Remote-Uid"]'
        assert data["requestheader-group-headers"] == '["X-Remote-Group"]'
        assert data["requestheader-extra-headers-prefix"] == '["X-Remote-Extra-"]'
        assert data["requestheader-client-ca-file"] == stage.extension.front_proxies.ca.read_text()

    stage.run(body())


def test_custom_resources_are_registered(stage: Stage) -> None:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")
    ]
    spec = {"group": "example.com", "names": names, "scope": "Cluster", "versions": versions}
    definition = {"metadata": {"name": "widgets.example.com"}, "spec": spec}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    async def body() -> None:
        api = stage.api
        await api.create(definitions, definition)
        for version in ("v1", "v2"):
            path = f"{APISERVICES}/{version}.example.com"
            found = await stage.condition("Local", path)
            assert found["message"] == "Local APIServices are always available"
            made = (await api.ask("GET", path)).body
            assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
            assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)
        groups = [group["name"] for group in (await api.ask("GET", "/apis")).body["groups"]]
        assert groups[-2:] == ["example.com", GROUP]
        await api.ask("DELETE", f"{definitions}/widgets.example.com")
        since = made["metadata"]["resourceVersion"]
        await stage.event(path, lambda event: event["type"] == "DELETED", since)

    stage.run(body())


def test_documents_that_are_none_hurt_nobody(stage: Stage) -> None:
    documents = ("[]", '{"paths":[1],"items":{"a":1},"kind":"APIGroupDiscoveryList"}', "\x00")

    async def body() -> None:
        aggregator = stage.api.server.services.aggregator
        assert aggregator is not None
        for document in documents:
            stage.extension.answers = dict.fromkeys(("/apis", BASE, "/openapi/v2", "/openapi/v3"), document)
            await aggregator.refresh()
            assert (await stage.api.ask("GET", "/apis", headers=AGGREGATED)).code == 200
            assert (await stage.api.ask("GET", "/openapi/v3")).body["paths"]["apis/apps/v1"]
        assert (await stage.api.ask("GET", "/openapi/v2")).body["paths"]["/api/v1/nodes"]
        stage.extension.answers = {}
        assert await aggregator.refresh()
        assert (await stage.version_entry())["freshness"] == "Current"

    stage.run(body())


def test_what_is_stored_past_all_rules_holds_nothing_up(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    key = "/registry/apiregistration.k8s.io/apiservices/v1.broken.io"

    async def body() -> None:
        services = stage.api.server.services
        await services.storage.create(
            key, b'{"kind":"APIService","apiVersion":"x","metadata":{"name":"b"},"spec":[1]}'
        )
        definition = "/registry/apiextensions.k8s.io/customresourcedefinitions/broken"
        await services.storage.create(
            definition, b'{"kind":"x","apiVersion":"x","metadata":{"name":"b"},"spec":[1]}'
        )
        await services.caches.of(key.rpartition("/")[0] + "/").wait_current()
        assert (await stage.api.ask("GET", f"{BASE}/nodes")).code == 200
        own = {"group": "late.io", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
        await stage.api.create(APISERVICES, {"metadata": {"name": "v1.late.io"}, "spec": own})
        await stage.condition("Local", f"{APISERVICES}/v1.late.io")
        for broken in (key, definition):
            stored, _ = await services.storage.get(broken)
            assert stored is not None
            await services.storage.delete(broken, stored.revision)

    stage.run(body())
    assert "a stored APIService cannot be read" in caplog.text


def test_what_somebody_keeps_by_hand_is_left(stage: Stage) -> None:
    """A label says whose it is; without it, an APIService of a definition's version is not put right."""
    own = f"{APISERVICES}/v1.example.org"
    service = {"group": "example.org", "version": "v1", "groupPriorityMinimum": 7, "versionPriority": 7}

    async def body() -> None:
        await stage.api.create(APISERVICES, {"metadata": {"name": "v1.example.org"}, "spec": service})
        await stage.condition("Local", own)
        versions = [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ]
        names = {"plural": "things", "singular": "thing", "kind": "Thing"}
        spec = {"group": "example.org", "names": names, "scope": "Cluster", "versions": versions}
        made = {"metadata": {"name": "things.example.org"}, "spec": spec}
        await stage.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
        second = {**made, "metadata": {"name": "others.example.org"}}
        second["spec"] = {**spec, "names": {"plural": "others", "singular": "other", "kind": "Other"}}
        second["spec"]["versions"] = [{**versions[0], "name": "v2"}]
        await stage.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", second)
        await stage.condition("Local", f"{APISERVICES}/v2.example.org")  # by now both have been looked at
        assert (await stage.api.ask("GET", own)).body["spec"] == service
        managed = {"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": "true"}}}
        merge = {"Content-Type": "application/merge-patch+json"}
        await stage.api.ask("PATCH", own, managed, headers=merge)
        await stage.event(own, lambda event: event["object"]["spec"]["groupPriorityMinimum"] == 1000)

    stage.run(body())


def test_what_cannot_be_reached_is_unavailable_until_it_can_be(stage: Stage) -> None:
    async def body() -> None:
        api, extension = stage.api, stage.extension
        extension.failing = True
        # Something changes: it is asked anew at once.
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        patch = {"metadata": {"annotations": {"look": "again"}}}
        merge = {"Content-Type": "application/merge-patch+json"}
        await api.ask("PATCH", f"{slices}/{NAME}-1", patch, headers=merge)
        condition = await stage.condition("FailedDiscoveryCheck")
        url = f"https://127.0.0.1:{extension.port}{BASE}"
        assert condition["status"] == "False"
        assert condition["message"] == f"failing or missing response from {url}: bad status from {url}: 500"
        refused = await api.ask("GET", f"{BASE}/nodes")
        assert (refused.code, refused.body) == (503, b"service unavailable\n")
        extension.failing = False
        await stage.condition("Passed")
        assert (await api.ask("GET", f"{BASE}/nodes")).code == 200
        await api.ask("DELETE", f"{slices}/{NAME}-1")
        gone = await stage.condition("EndpointsNotFound")
        assert gone["message"] == f'cannot find endpointslices for service/{NAME} in "{NAMESPACE}"'
        await api.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}/services/{NAME}")
        gone = await stage.condition("ServiceNotFound")
        metrics = (await api.ask("GET", "/metrics")).body.decode()
        assert f'aggregator_unavailable_apiservice{{name="{VERSION}.{GROUP}"}} 1.0' in metrics
        assert 'aggregator_unavailable_apiservice{name="v1.apps"} 0.0' in metrics
        failed = f'name="{VERSION}.{GROUP}",reason="FailedDiscoveryCheck"'
        assert f"aggregator_unavailable_apiservice_total{{{failed}}} 1.0" in metrics
        assert gone["message"] == f'service/{NAME} in "{NAMESPACE}" is not present'
        await api.ask("DELETE", OWN)
        assert (await api.ask("GET", f"{BASE}/nodes")).code == 404
        listed = (await api.ask("GET", "/apis")).body["groups"]
        assert GROUP not in [group["name"] for group in listed]

    stage.run(body())
