"""A client set up as client-go is for built-in kinds: protobuf first, JSON second, written by hand."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.http.protobuf import encode, envelope
from tests.clients.here import TOKEN, Here

PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPT = f"{PROTOBUF},application/json"
_AS_LIST = "as=APIGroupDiscoveryList"
DISCOVERY = ",".join(
    [f"application/json;g=apidiscovery.k8s.io;v={version};{_AS_LIST}" for version in ("v2", "v2beta1")]
    + ["application/json"]
)
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SECONDS = 10


class Go:
    def __init__(self, api: Here) -> None:
        self._url = api.url
        self._context = ssl.create_default_context(cafile=str(api.ca))

    def open(self, method: str, path: str, body: bytes | None = None, accept: str = ACCEPT) -> Any:
        headers = {"Accept": accept, "Content-Type": PROTOBUF, "Authorization": f"Bearer {TOKEN}"}
        headers["User-Agent"] = "kubelet/v1.36.0 (linux/amd64) kubernetes/abc"
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        return urllib.request.urlopen(request, timeout=SECONDS, context=self._context)

    def ask(
        self, method: str, path: str, obj: Any = None, accept: str = ACCEPT
    ) -> tuple[int, HTTPMessage, bytes]:
        body = None if obj is None else encode.envelope(obj)
        try:
            with self.open(method, path, body, accept) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.headers, refused.read()


@pytest.fixture(scope="module")
def go(api: Here) -> Go:
    return Go(api)


def config_map(name: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"a": "1"}}


def deployment() -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "x",
        "resources": {"limits": {"cpu": "500m"}},
        "ports": [{"containerPort": 80}],
    }
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d"}, "spec": spec}


def test_what_is_sent_as_protobuf_is_answered_in_the_second_choice(go: Go) -> None:
    status, headers, data = go.ask("POST", CONFIG_MAPS, config_map("one"))
    made = json.loads(data)
    assert (status, headers["Content-Type"], made["data"]) == (201, "application/json", {"a": "1"})
    made["data"]["b"] = "2"
    status, _, data = go.ask("PUT", f"{CONFIG_MAPS}/one", made)
    assert (status, json.loads(data)["data"]) == (200, {"a": "1", "b": "2"})
    status, _, data = go.ask("PUT", f"{CONFIG_MAPS}/one", made)
    assert (status, json.loads(data)["reason"]) == (409, "Conflict")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    status, _, data = go.ask("DELETE", f"{CONFIG_MAPS}/one", options)
    assert (status, json.loads(data)["reason"]) == (409, "Conflict")
    assert go.ask("DELETE", f"{CONFIG_MAPS}/one")[0] == 200


def test_a_deep_object_comes_back_as_it_was(go: Go) -> None:
    status, _, data = go.ask("POST", DEPLOYMENTS, deployment())
    assert status == 201, data
    in_json = json.loads(data)
    assert in_json["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}}
    _, headers, data = go.ask("GET", f"{DEPLOYMENTS}/d", accept=PROTOBUF)
    assert headers["Content-Type"] == PROTOBUF
    assert envelope.decode(data, GroupVersionKind("apps", "v1", "Deployment")) == in_json


def test_lists_watches_and_errors_fall_back_too(go: Go) -> None:
    go.ask("POST", CONFIG_MAPS, config_map("watched"))
    _, headers, data = go.ask("GET", CONFIG_MAPS)
    version = json.loads(data)["metadata"]["resourceVersion"]
    assert headers["Content-Type"] == "application/json"
    go.ask("DELETE", f"{CONFIG_MAPS}/watched")
    with go.open("GET", f"{CONFIG_MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=5") as stream:
        assert stream.headers["Content-Type"] == "application/json"
        assert json.loads(stream.readline())["type"] == "DELETED"
    status, headers, data = go.ask("GET", f"{CONFIG_MAPS}/none")
    assert (status, headers["Content-Type"], json.loads(data)["kind"]) == (404, "application/json", "Status")


def test_a_list_of_initial_events_ends_with_a_bookmark(go: Go) -> None:
    """client-go's reflectors begin so."""
    go.ask("POST", CONFIG_MAPS, config_map("initial"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5"
    with go.open("GET", f"{CONFIG_MAPS}?{query}") as stream:
        events = [json.loads(stream.readline()) for _ in range(2)]
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_discovery_in_one_answer(go: Go, path: str) -> None:
    _, headers, data = go.ask("GET", path, accept=DISCOVERY)
    assert headers["Content-Type"] == f"application/json;g=apidiscovery.k8s.io;v=v2;{_AS_LIST}"
    groups = json.loads(data)["items"]
    kinds = {r["responseKind"]["kind"] for g in groups for v in g["versions"] for r in v["resources"]}
    assert ({"Pod", "Node"} if path == "/api" else {"Deployment", "Lease"}) <= kinds


def test_the_document_that_kubectl_reads_in_protobuf(go: Go) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    status, headers, data = go.ask("GET", "/openapi/v2", accept=accept)
    assert (status, headers["Content-Type"]) == (200, accept.replace("@", "."))
    assert b"io.k8s.api.apps.v1.Deployment" in data
