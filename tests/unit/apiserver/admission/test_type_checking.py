"""Expressions of policies against the types of what they match."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission.policies.type_checking import TypeChecker
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.cel.types import Type
from apiserver.policy_status import PolicyStatus
from apiserver.schema.cel_types import cel_type
from apiserver.schema.schemas import Schemas
from tests.support.served import running

SCHEMAS = Schemas.load()
KINDS = {
    ("apps", "v1", "deployments"): "Deployment",
    ("apps", "v1", "replicasets"): "ReplicaSet",
    ("", "v1", "pods"): "Pod",
    ("", "v1", "configmaps"): "ConfigMap",
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions"): "CustomResourceDefinition",
}
Object = dict[str, Any]


def kind_of(gvr: GroupVersionResource) -> GroupVersionKind | None:
    kind = KINDS.get(tuple(gvr))
    return None if kind is None else GroupVersionKind(gvr.group, gvr.version, kind)


def type_of(gvk: GroupVersionKind) -> Type | None:
    found = SCHEMAS.type_of(gvk)
    return None if found is None else cel_type(found, gvk.kind)


def policy(expression: str, *resources: str, group: str = "apps", **spec: Any) -> Object:
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": resources}
    return {
        "kind": "ValidatingAdmissionPolicy",
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression}],
            **spec,
        },
    }


def test_an_undefined_field_is_found_for_each_type() -> None:
    both = policy("object.replicas > 1", "replicasets", "deployments")
    text = "ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
    assert TypeChecker(kind_of, type_of).warnings(both) == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": f"apps/v1, Kind=Deployment: {text}\napps/v1, Kind=ReplicaSet: {text}",
        }
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas > 1",
        "oldObject == null || object.metadata.labels['app'] == oldObject.metadata.labels['app']",
        "object.spec.template.spec.containers.all(c, c.image.startsWith('registry/'))",
        "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')",
        "object.spec.strategy.rollingUpdate.maxSurge == 1",
        "quantity(object.spec.template.spec.containers[0].resources.limits['cpu']).isLessThan(quantity('2'))",
        "has(object.spec.template.spec.volumes) && object.spec.template.spec.volumes.exists(v, has(v.hostPath))",
        "authorizer.group('apps').resource('deployments').check('get').allowed()",
        "namespaceObject.metadata.name != 'x' && request.name != 'y'",
    ],
)
def test_what_is_right_is_not_complained_about(expression: str) -> None:
    assert TypeChecker(kind_of, type_of).warnings(policy(expression, "deployments")) == []


def test_types_that_hold_themselves() -> None:
    deep = "object.spec.versions.all(v, v.schema.openAPIV3Schema.properties['a'].properties['b'].type == 'x')"
    checked = policy(deep, "customresourcedefinitions", group="apiextensions.k8s.io")
    assert TypeChecker(kind_of, type_of).warnings(checked) == []


@pytest.mark.parametrize("resources", [["*"], ["deployments/scale"], ["unknown"], []])
def test_what_names_no_type_is_not_checked(resources: list[str]) -> None:
    assert TypeChecker(kind_of, type_of).warnings(policy("object.nothing", *resources)) == []


def test_variables_params_and_messages_are_typed() -> None:
    checked = policy(
        "variables.count > 'a'",
        "deployments",
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        variables=[{"name": "count", "expression": "object.spec.replicas"}],
        validations=[
            {"expression": "variables.count > 'a'"},
            {"expression": "params.data['x'] == 'y'", "messageExpression": "'n: ' + params.dat"},
        ],
    )
    found = TypeChecker(kind_of, type_of).warnings(checked)
    assert [item["fieldRef"] for item in found] == [
        "spec.validations[0].expression",
        "spec.validations[1].messageExpression",
    ]
    assert "found no matching overload for '_>_' applied to '(int, string)'" in found[0]["warning"]
    assert "undefined field 'dat'" in found[1]["warning"]


def test_the_status_tells_of_it(tmp_path: Path) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    with running(tmp_path) as server:

        async def checked(warned: bool) -> None:
            """Until the status of the generation is there."""
            task = asyncio.create_task(PolicyStatus(server.server.services).run())
            resource = server.server.services.registry.lookup(*path.split("/")[2:])
            assert resource is not None
            cache, told = server.server.services.cache(resource), asyncio.Event()

            def look() -> None:
                for entry in cache.select(cache.prefix):
                    status = entry.object().get("status") or {}
                    if bool((status.get("typeChecking") or {}).get("expressionWarnings")) is warned:
                        told.set() if "observedGeneration" in status else None

            cache.listen(look)
            try:
                async with asyncio.timeout(10):
                    await told.wait()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        server.json("POST", path, policy("object.replicas > 1", "deployments"))
        server.run(checked(True))
        found = server.json("GET", f"{path}/p")
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 1
        [warning] = found["status"]["typeChecking"]["expressionWarnings"]
        assert warning["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field")
        found["spec"]["validations"][0]["expression"] = "object.spec.replicas > 1"
        server.json("PUT", f"{path}/p", found)
        server.run(checked(False))
        found = server.json("GET", f"{path}/p")
        assert found["status"] == {"observedGeneration": 2, "typeChecking": {}}
