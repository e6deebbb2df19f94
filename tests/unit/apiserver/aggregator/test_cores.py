"""What decides about other API servers, without any: order, availability, routes, documents, identities."""

from __future__ import annotations

import asyncio
import inspect
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from apiserver.aggregator import availability, proxying
from apiserver.aggregator.availability import LOCAL, PASSED, obstacle, with_condition
from apiserver.aggregator.discovery_documents import Unreadable, aggregated, of_resources
from apiserver.aggregator.openapi_merge import merged
from apiserver.aggregator.routes import Unresolvable, by_cluster_ip, by_endpoint
from apiserver.aggregator.service import Reference, ordered, read
from apiserver.aggregator.trust import combined
from apiserver.api.errors import StatusError
from apiserver.auth.user import User
from apiserver.http import request_info
from apiserver.http.filters.timeout import with_timeout
from apiserver.http.proxy import headers
from apiserver.http.proxy.target import Target
from apiserver.http.scope import Exchange
from apiserver.streaming import Taken
from tests.support.virtual_time import run_virtual

REFERENCE = Reference("ns", "web", 443)
Object = dict[str, Any]


def service(**spec: Any) -> Object:
    return {
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.0.0.1",
            "ports": [{"port": 443, "name": "tls"}],
            **spec,
        }
    }


def slice_of(*addresses: str, name: str = "tls", ready: bool | None = True) -> Object:
    conditions = {} if ready is None else {"ready": ready}
    endpoints = [{"addresses": [address], "conditions": conditions} for address in addresses]
    return {"endpoints": endpoints, "ports": [{"name": name, "port": 8443}]}


def api_service(group: str, version: str, priority: int, version_priority: int = 100) -> Object:
    priorities = {"groupPriorityMinimum": priority, "versionPriority": version_priority}
    return {
        "metadata": {"name": f"{version}.{group}"},
        "spec": {"group": group, "version": version, **priorities},
    }


@pytest.mark.parametrize(
    ("given", "slices", "reason", "message"),
    [
        (None, [], "ServiceNotFound", 'service/web in "ns" is not present'),
        (
            service(ports=[{"port": 80}]),
            [],
            "ServicePortError",
            'service/web in "ns" is not listening on port 443',
        ),
        (service(), [], "EndpointsNotFound", 'cannot find endpointslices for service/web in "ns"'),
        (
            service(),
            [slice_of("10.1.1.1", ready=False), slice_of("10.1.1.1", name="other")],
            "MissingEndpoints",
            'endpointslices for service/web in "ns" have no addresses with port name "tls"',
        ),
    ],
)
def test_obstacles(given: Object | None, slices: list[Object], reason: str, message: str) -> None:
    assert obstacle(REFERENCE, given, slices) == ("False", reason, message)


@pytest.mark.parametrize("ready", [True, None])
def test_no_obstacle(ready: bool | None) -> None:
    assert obstacle(REFERENCE, service(), [slice_of("10.1.1.1", ready=ready)]) is None
    assert obstacle(REFERENCE, service(type="ExternalName", ports=[]), []) is None


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    obj = api_service("g", "v1", 1)
    first = with_condition(obj, PASSED, "t1")
    assert first is not None
    assert first["status"]["conditions"] == [
        {
            "type": "Available",
            "status": "True",
            "reason": "Passed",
            "message": "all checks passed",
            "lastTransitionTime": "t1",
        }
    ]
    assert with_condition(first, PASSED, "t2") is None
    second = with_condition(first, LOCAL, "t2")
    assert second is not None
    assert second["status"]["conditions"][0]["lastTransitionTime"] == "t1"
    assert read(second).available


def test_every_reason_is_documented() -> None:
    told = (Path(__file__).parents[4] / "docs" / "extension.md").read_text()
    reasons = re.findall(r'Condition\("\w+", "(\w+)"', inspect.getsource(availability))
    assert len(reasons) >= 7
    assert [reason for reason in reasons if f"`{reason}`" not in told] == []


def test_routes() -> None:
    slices = [slice_of("10.1.1.1", "10.1.1.2"), slice_of("10.1.1.3", ready=False)]
    assert by_cluster_ip(REFERENCE, service()) == ("10.0.0.1", 443)
    external = service(type="ExternalName", externalName="api.example.com")
    assert by_cluster_ip(REFERENCE, external) == ("api.example.com", 443)
    assert by_endpoint(REFERENCE, service(), slices, lambda found: found[-1]) == ("10.1.1.2", 8443)
    for found, text in (
        (None, 'service "web" not found'),
        (service(clusterIP="None"), 'cannot route to service with ClusterIP "None"'),
        (service(ports=[]), 'no service port 443 found for service "web"'),
    ):
        with pytest.raises(Unresolvable, match=text):
            by_cluster_ip(REFERENCE, found)
    with pytest.raises(Unresolvable, match="no endpoints available"):
        by_endpoint(REFERENCE, service(), [], lambda found: found[0])
    with pytest.raises(Unresolvable, match="unsupported service type"):
        by_endpoint(REFERENCE, external, slices, lambda found: found[0])


def test_groups_and_versions_are_ordered_by_priority() -> None:
    known = [
        api_service("low.io", "v1", 100),
        api_service("same.io", "v1beta1", 200),
        api_service("same.io", "v1", 200),
        api_service("first.io", "v1alpha1", 200, 200),
        api_service("first.io", "v2", 300),
    ]
    assert ordered(map(read, known)) == {
        "first.io": ["v1alpha1", "v2"],
        "same.io": ["v1", "v1beta1"],
        "low.io": ["v1"],
    }


def test_discovery_documents_in_both_forms() -> None:
    listed = [
        {"name": "pods", "namespaced": True, "kind": "PodMetrics", "verbs": ["get"], "shortNames": ["pm"]},
        {
            "name": "pods/log",
            "namespaced": True,
            "kind": "Log",
            "group": "x",
            "version": "v1",
            "verbs": ["get"],
        },
        {"name": "ghosts/part", "namespaced": False, "kind": "Part", "verbs": ["get"]},
    ]
    entry = of_resources({"kind": "APIResourceList", "resources": listed}, "v1")
    pods, ghosts = entry["resources"]
    assert (pods["scope"], pods["shortNames"]) == ("Namespaced", ["pm"])
    kind = {"group": "x", "version": "v1", "kind": "Log"}
    assert pods["subresources"] == [{"subresource": "log", "responseKind": kind, "verbs": ["get"]}]
    assert (ghosts["resource"], ghosts["responseKind"]) == ("ghosts", {})
    document = {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "g"}, "versions": [entry]}]}
    assert aggregated(document) == {("g", "v1"): entry}
    assert aggregated({"kind": "APIGroupList"}) is None
    for broken in (
        {"kind": "APIGroupDiscoveryList", "items": [1]},
        {**document, "items": [{"versions": [{}]}]},
    ):
        with pytest.raises(Unreadable):
            aggregated(broken)
    for broken in ({"kind": "Status"}, {"kind": "APIResourceList", "resources": [{}]}, []):
        with pytest.raises(Unreadable):
            of_resources(broken, "v1")


def test_definitions_of_several_servers_are_told_apart() -> None:
    def spec(group: str, meta: str) -> Object:
        body = {"$ref": "#/definitions/Thing"}
        paths: Object = {
            f"/apis/{group}/v1/things": {"post": {"parameters": [{"$ref": "#/parameters/pretty"}, body]}},
            "/apis/other/v1/things": {},
        }
        definitions = {
            "Thing": {"properties": {"meta": {"$ref": "#/definitions/Meta"}}},
            "Meta": {"type": meta},
        }
        return {"paths": paths, "definitions": definitions, "parameters": {"pretty": {"in": "query"}}}

    own = {"Meta": {"type": "own"}}
    specs = [(spec("a", "other"), ["/apis/a/v1"]), (spec("b", "own"), ["/apis/b/v1"])]
    found = merged(specs, own.get)
    assert set(found.paths) == {"/apis/a/v1/things", "/apis/b/v1/things"}
    assert found.paths["/apis/a/v1/things"]["post"]["parameters"][0] == {"in": "query"}
    assert found.definitions["Meta_v2"] == {"type": "other"}
    assert found.definitions["Thing"]["properties"]["meta"] == {"$ref": "#/definitions/Meta_v2"}
    reference = found.paths["/apis/b/v1/things"]["post"]["parameters"][1]["$ref"]
    thing = found.definitions[reference.rpartition("/")[2]]
    assert thing["properties"]["meta"] == {"$ref": "#/definitions/Meta"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "X-Remote-User",
                    "x-remote-group",
                    "X-REMOTE-EXTRA-a",
                    "X-Remote-Uid",
                    "x_remote_user",
                    "Accept",
                ]
            ),
            st.sampled_from(["root", "system:masters"]),
        )
    )
)
def test_only_the_proxy_says_who_somebody_is(sent: list[tuple[str, str]]) -> None:
    user = User("jane", ("dev", "ops"), "u1", {"Acme.io/Team": ["blue"], "100%": ["x"]})
    found = headers.as_user(sent, user, "host:1", "audit")
    speaking = [
        (name, value) for name, value in found if name.lower().replace("_", "-").startswith("x-remote-")
    ]
    assert speaking == [
        ("X-Remote-User", "jane"),
        ("X-Remote-Uid", "u1"),
        ("X-Remote-Group", "dev"),
        ("X-Remote-Group", "ops"),
        ("X-Remote-Extra-Acme.io%2FTeam", "blue"),
        ("X-Remote-Extra-100%25", "x"),
    ]
    assert [pair for pair in found if pair[0] == "Accept"] == [pair for pair in sent if pair[0] == "Accept"]


@pytest.mark.parametrize("name", ["a\r\nX-Remote-Group: system:masters", "a\0b", "a\x7f"])
def test_a_name_that_would_be_another_header_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="invalid header field value"):
        headers.identity(User(name))
    with pytest.raises(ValueError, match="invalid header field value"):
        headers.identity(User("a", (), "", {"k": [name]}))


@pytest.mark.parametrize(
    ("remote", "upgrades", "ends"), [(True, True, False), (True, False, True), (False, True, True)]
)
def test_an_upgraded_connection_to_another_server_may_last(remote: bool, upgrades: bool, ends: bool) -> None:
    """Though its path does not say that it will."""
    sent = CIMultiDict({"Connection": "Upgrade"} if upgrades else {})
    services: Any = SimpleNamespace(
        config=SimpleNamespace(request_timeout=60.0),
        aggregator=SimpleNamespace(find=lambda info: remote or None),
    )
    info = request_info.parse("GET", "/apis/g/v1/namespaces/n/machines/m/console", {})
    exchange: Any = SimpleNamespace(info=info, services=services, request=SimpleNamespace(headers=sent))

    async def handler(_: Any) -> Any:
        await asyncio.sleep(3600)
        return "done"

    async def body() -> None:
        handle = with_timeout(services, handler)
        if ends:
            with pytest.raises(StatusError, match="did not complete within the allotted timeout"):
                await handle(exchange)
        else:
            assert await handle(exchange) == "done"

    run_virtual(body())


@pytest.mark.parametrize("begins", [True, False])
def test_discovery_that_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch, begins: bool) -> None:
    """Half an answer must not be followed by another one, nor pass for a whole one."""
    aborted, told = list[bool](), list[int]()

    async def forward(exchange: Exchange, target: Target) -> Any:
        if begins:
            exchange.begun(200)
        await asyncio.sleep(3600)

    async def context(item: Any) -> Any:
        return None

    async def address(reference: Any) -> Any:
        return "10.0.0.1", 443

    monkeypatch.setattr(proxying.forward, "forward", forward)
    transport = SimpleNamespace(abort=lambda: aborted.append(True))
    request: Any = SimpleNamespace(
        headers=CIMultiDict(), transport=transport, rel_url=URL("/apis/g/v1"), version=(1, 1)
    )
    services: Any = SimpleNamespace()
    exchange = Exchange(request, services, request_info.parse("GET", "/apis/g/v1", {}), on_begun=told.append)
    upstream: Any = SimpleNamespace(address=address, context=context)
    item = read(
        {"metadata": {"name": "v1.g"}, "spec": {"group": "g", "version": "v1", "service": {"name": "s"}}}
    )
    answer = run_virtual(proxying.serve(exchange, replace(item, available=True), upstream))
    if begins:
        assert (answer.status, aborted, told) == (200, [True], [200])
        assert isinstance(answer, Taken)
    else:
        assert isinstance(answer, web.Response)
        assert (answer.status, answer.text, aborted) == (503, "context deadline exceeded\n", [])


def authority(name: str, days: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ends = NOW + timedelta(days=days)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    )
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=100)).not_valid_after(ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_whom_to_believe_is_said_by_all_servers_together() -> None:
    old, ended, new = authority("old", 10), authority("ended", -10), authority("new", 20)
    stored = {
        "client-ca-file": old + ended,
        "requestheader-client-ca-file": old,
        "requestheader-allowed-names": '["front"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    own = {
        "client-ca-file": new,
        "requestheader-client-ca-file": old,
        "requestheader-allowed-names": '["front","other"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    found = combined(stored, own, NOW)
    assert found["client-ca-file"] == old + new
    assert found["requestheader-client-ca-file"] == old
    assert found["requestheader-allowed-names"] == '["front","other"]'
    assert found["requestheader-uid-headers"] == "[]"
    assert combined(found, own, NOW) == found
    assert combined({}, {"client-ca-file": new}, NOW) == {"client-ca-file": new}
