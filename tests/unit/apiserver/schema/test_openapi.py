"""The documents that clients are made from."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.http.protobuf import wire
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.schema.openapi import OpenApi
from apiserver.schema.openapi_operations import operations
from apiserver.schema.schemas import Schemas

POD = "/api/v1/namespaces/{namespace}/pods/{name}"
DEPLOYMENT = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.default(RegistryOptions())


@pytest.fixture(scope="module")
def openapi(registry: Registry) -> OpenApi:
    return OpenApi(Schemas.load(), registry.resources)


@pytest.fixture(scope="module")
def v2(openapi: OpenApi) -> dict[str, Any]:
    document: dict[str, Any] = codec.decode(openapi.v2())
    return document


def v3(openapi: OpenApi, path: str) -> dict[str, Any]:
    document: dict[str, Any] = codec.decode(openapi.v3(path))
    return document


def test_types(openapi: OpenApi) -> None:
    known = v3(openapi, "apis/apps/v1")["components"]["schemas"]
    assert known["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]["type"] == "integer"
    quantity = known["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity["oneOf"] == [{"type": "string"}, {"type": "number"}]
    choice = known["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert choice == {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    template = known["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["template"]
    assert template["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"}]
    assert "$ref" not in template


@pytest.mark.parametrize(
    "path", ["api/v1", "apis/apps/v1", "apis/policy/v1", "apis/apps", "apis", "api", "version"]
)
def test_every_reference_leads_somewhere(openapi: OpenApi, path: str) -> None:
    document = v3(openapi, path)
    known = document["components"]["schemas"]
    assert set(_references(document)) <= {f"#/components/schemas/{name}" for name in known}


def test_every_reference_of_version_2_leads_somewhere(v2: dict[str, Any]) -> None:
    known = {f"#/definitions/{name}" for name in v2["definitions"]}
    known |= {f"#/parameters/{name}" for name in v2["parameters"]}
    assert set(_references(v2)) <= known


def test_an_operation_of_version_3(openapi: OpenApi) -> None:
    path = v3(openapi, "apis/apps/v1")["paths"][DEPLOYMENT]
    assert [parameter["name"] for parameter in path["parameters"]] == ["name", "namespace", "pretty"]
    patch = path["patch"]
    assert patch["operationId"] == "patchAppsV1NamespacedDeployment"
    assert patch["description"] == "partially update the specified Deployment"
    assert patch["tags"] == ["apps_v1"]
    assert patch["x-kubernetes-action"] == "patch"
    assert patch["x-kubernetes-group-version-kind"] == {
        "group": "apps",
        "kind": "Deployment",
        "version": "v1",
    }
    assert [p["name"] for p in patch["parameters"]] == ["dryRun", "fieldManager", "fieldValidation", "force"]
    assert "application/apply-patch+yaml" in patch["requestBody"]["content"]
    answer = patch["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/io.k8s.api.apps.v1.Deployment"}


def test_an_operation_of_version_2(v2: dict[str, Any]) -> None:
    listing = v2["paths"]["/api/v1/pods"]["get"]
    assert listing["operationId"] == "listCoreV1PodForAllNamespaces"
    assert {"$ref": "#/parameters/labelSelector"} in listing["parameters"]
    assert listing["responses"]["200"]["schema"] == {"$ref": "#/definitions/io.k8s.api.core.v1.PodList"}
    assert "application/json;stream=watch" in listing["produces"]
    deletion = v2["paths"][POD]["delete"]
    assert deletion["parameters"][0]["schema"] == {
        "$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    }
    assert deletion["responses"]["200"]["schema"] == {"$ref": "#/definitions/io.k8s.api.core.v1.Pod"}


@pytest.mark.parametrize(
    ("path", "method", "name", "action", "kind"),
    [
        (f"{POD}/status", "put", "replaceCoreV1NamespacedPodStatus", "put", "Pod"),
        (f"{POD}/binding", "post", "createCoreV1NamespacedPodBinding", "post", "Binding"),
        (f"{POD}/eviction", "post", "createCoreV1NamespacedPodEviction", "post", "Eviction"),
        (f"{POD}/exec", "get", "connectCoreV1GetNamespacedPodExec", "connect", "PodExecOptions"),
        (f"{POD}/proxy/{{path}}", "head", "connectCoreV1HeadNamespacedPodProxyWithPath", "connect", "PodProxyOptions"),
        (f"{POD}/log", "get", "readCoreV1NamespacedPodLog", "get", "Pod"),
        (f"{DEPLOYMENT}/scale", "patch", "patchAppsV1NamespacedDeploymentScale", "patch", "Scale"),
        ("/api/v1/watch/pods", "get", "watchCoreV1PodListForAllNamespaces", "watchlist", "Pod"),
        ("/api/v1/nodes", "delete", "deleteCoreV1CollectionNode", "deletecollection", "Node"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "get", "listRbacAuthorizationV1ClusterRole", "list",
         "ClusterRole"),
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "post",
         "createAuthorizationV1SelfSubjectAccessReview", "post", "SelfSubjectAccessReview"),
    ],
)  # fmt: skip
def test_names_are_those_of_the_original(
    v2: dict[str, Any], path: str, method: str, name: str, action: str, kind: str
) -> None:
    operation = v2["paths"][path][method]
    assert operation["operationId"] == name
    assert operation["x-kubernetes-action"] == action
    assert operation["x-kubernetes-group-version-kind"]["kind"] == kind


def test_names_are_unique_and_every_verb_is_there(registry: Registry) -> None:
    found = [operation for resource in registry.resources for operation in operations(resource)]
    assert len({operation.name for operation in found}) == len(found)
    assert len({(operation.path, operation.method) for operation in found}) == len(found)
    for resource in registry.resources:
        actions = {operation.action for operation in operations(resource)}
        renamed = {"create": "post", "update": "put"}
        assert {renamed.get(verb, verb) for verb in resource.verbs} <= actions


def test_the_index_names_documents_by_their_hash(openapi: OpenApi) -> None:
    index = openapi.v3_index()["paths"]
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version"} <= set(index)
    digest = hashlib.sha512(openapi.v3("apis/apps/v1")).hexdigest().upper()
    assert index["apis/apps/v1"] == {"serverRelativeURL": f"/openapi/v3/apis/apps/v1?hash={digest}"}


def test_openapi_v2_as_kubectl_reads_it(openapi: OpenApi, v2: dict[str, Any]) -> None:
    found = _read(openapi.v2_binary())
    assert (found[1], _read(found[2][0])[2]) == ([b"2.0"], [v2["info"]["version"].encode()])
    definitions = dict(map(_pair, _read(found[9][0])[1]))
    assert list(definitions) == [name.encode() for name in v2["definitions"]]
    pod = _read(definitions[b"io.k8s.api.core.v1.Pod"])
    assert _read(pod[22][0])[1] == [b"object"]
    fields = dict(map(_pair, _read(pod[25][0])[1]))
    assert _read(fields[b"spec"])[1] == [b"#/definitions/io.k8s.api.core.v1.PodSpec"]
    extensions = dict(map(_pair, pod[31]))
    kind = codec.decode(_read(extensions[b"x-kubernetes-group-version-kind"])[2][0])
    assert kind == [{"group": "", "kind": "Pod", "version": "v1"}]
    paths = dict(map(_pair, _read(found[8][0])[2]))
    patch = _read(_read(paths[DEPLOYMENT.encode()])[8][0])
    parameters = [_read(_read(item)[1][0]) for item in patch[8]]
    assert _read(parameters[0][1][0])[2] == [b"body"]
    names = [_read(_read(parameter[2][0])[3][0])[4][0] for parameter in parameters[1:]]
    assert names == [b"dryRun", b"fieldManager", b"fieldValidation", b"force"]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [name for item in value.values() for name in _references(item)]
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]
    return []


def _read(data: bytes) -> dict[int, list[Any]]:
    result: dict[int, list[Any]] = {}
    for number, _, value in wire.fields(data, "test"):
        result.setdefault(number, []).append(value)
    return result


def _pair(data: bytes) -> tuple[bytes, bytes]:
    fields = _read(data)
    return fields[1][0], fields[2][0]
