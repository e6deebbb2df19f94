"""Custom resources over real connections: media types, documents, discovery, and what comes before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import Server, running
from tests.unit.apiserver.crd.definitions import definition, version

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "default": 3},
                "port": {"x-kubernetes-int-or-string": True},
            },
        }
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    with running(folder) as it:
        schema = version(schema=SCHEMA, selectableFields=[{"jsonPath": ".spec.size"}])
        later = version("v1alpha1", storage=False, deprecated=True, schema=SCHEMA)
        names = {"plural": "widgets", "kind": "Widget", "listKind": "ManyWidgets"}
        code, _, data = it.ask(
            "POST", DEFINITIONS, definition(schema, later, names=names), Content_Type="application/json"
        )
        assert code == 201, data
        until(it, WIDGETS, 200)
        yield it


def until(server: Server, path: str, code: int) -> Any:
    for _ in range(200):
        found, _, data = server.ask("GET", path)
        if found == code:
            return data
    raise AssertionError(f"{path} never answered {code}")


def widget(name: str, api_version: str = "example.com/v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name}, **more}


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    code, _, data = server.ask(method, path, body, **{"Content_Type": "application/json", **headers})
    return code, json.loads(data)


def test_an_object_lives_in_every_version(server: Server) -> None:
    code, made = ask(server, "POST", WIDGETS, widget("a", spec={}))
    assert (code, made["spec"]) == (201, {"size": 3})
    code, headers, data = server.ask("GET", WIDGETS.replace("v1", "v1alpha1") + "/a")
    assert json.loads(data)["apiVersion"] == "example.com/v1alpha1"
    assert headers["Warning"] == '299 - "example.com/v1alpha1 Widget is deprecated"'
    code, listed = ask(server, "GET", f"{WIDGETS}?fieldSelector=spec.size%3D3")
    assert (listed["kind"], [item["kind"] for item in listed["items"]]) == ("ManyWidgets", ["Widget"])
    assert ask(server, "GET", f"{WIDGETS}?fieldSelector=spec.port%3D3")[0] == 400


def test_only_media_types_without_numbers_of_fields(server: Server) -> None:
    binary = "application/vnd.kubernetes.protobuf"
    code, status = ask(server, "POST", WIDGETS, widget("b"), Content_Type=binary)
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")
    assert server.ask("GET", WIDGETS, Accept=binary)[0] == 406
    assert server.ask("GET", WIDGETS, Accept=f"{binary}, application/json")[0] == 200
    strategic = "application/strategic-merge-patch+json"
    assert ask(server, "PATCH", f"{WIDGETS}/a", {}, Content_Type=strategic)[0] == 415


def test_a_namespace_must_be_there(server: Server) -> None:
    code, status = ask(server, "POST", WIDGETS.replace("default", "nowhere"), widget("b"))
    assert (code, status["message"]) == (404, 'namespaces "nowhere" not found')


def test_documents(server: Server) -> None:
    _, index = ask(server, "GET", "/openapi/v3")
    url = index["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    _, document = ask(server, "GET", url)
    known = document["components"]["schemas"]
    kind = known["com.example.v1.Widget"]
    assert kind["x-kubernetes-group-version-kind"] == [
        {"group": "example.com", "version": "v1", "kind": "Widget"}
    ]
    assert kind["properties"]["spec"] == SCHEMA["properties"]["spec"]  # type: ignore[index]
    assert kind["properties"]["metadata"]["allOf"][0]["$ref"].endswith("meta.v1.ObjectMeta")
    assert "com.example.v1alpha1.Widget" not in known
    _, older = ask(server, "GET", "/openapi/v2")
    port = older["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]["port"]
    assert port == {"x-kubernetes-int-or-string": True}
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in older["paths"]
    patch = older["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["consumes"]


def test_discovery(server: Server) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    _, found = ask(server, "GET", "/apis", Accept=accept)
    group = next(item for item in found["items"] if item["metadata"].get("name") == "example.com")
    assert [item["version"] for item in group["versions"]] == ["v1", "v1alpha1"]
    assert group["versions"][0]["resources"][0]["responseKind"]["kind"] == "Widget"


def test_a_definition_that_goes_takes_everything_along(server: Server) -> None:
    gizmos = definition(version(), plural="gizmos", kind="Gizmo", group="gone.example.com")
    gizmos["metadata"]["name"] = "gizmos.gone.example.com"
    assert ask(server, "POST", DEFINITIONS, gizmos)[0] == 201
    path = "/apis/gone.example.com/v1/namespaces/default/gizmos"
    until(server, path, 200)
    gizmo = {**widget("g", "gone.example.com/v1"), "kind": "Gizmo"}
    assert ask(server, "POST", path, gizmo)[0] == 201
    before = json.loads(server.ask("GET", "/openapi/v3")[2])["paths"]
    code, answer = ask(server, "DELETE", f"{DEFINITIONS}/gizmos.gone.example.com")
    assert (code, answer["metadata"]["finalizers"]) == (200, ["customresourcecleanup.apiextensions.k8s.io"])
    until(server, f"{DEFINITIONS}/gizmos.gone.example.com", 404)
    assert until(server, path, 404) == b"404 page not found\n"
    after = json.loads(server.ask("GET", "/openapi/v3")[2])["paths"]
    assert set(before) - set(after) == {"apis/gone.example.com", "apis/gone.example.com/v1"}
    assert ask(server, "POST", DEFINITIONS, gizmos)[0] == 201
    assert json.loads(until(server, path, 200))["items"] == []
