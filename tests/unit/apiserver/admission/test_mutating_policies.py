"""MutatingAdmissionPolicy on one server over a store in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.served import CONFIG_MAPS, Server, config_map, running

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/mutatingadmissionpolicies", f"{GROUP}/mutatingadmissionpolicybindings"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
_V1 = "admissionregistration.k8s.io/v1"
Object = dict[str, Any]


def rule(group: str, version: str, *resources: str) -> Object:
    operations = ["CREATE", "UPDATE"]
    return {"apiGroups": [group], "apiVersions": [version], "operations": operations, "resources": resources}


CORE, APPS = rule("", "v1", "configmaps"), rule("apps", "v1", "deployments", "deployments/scale")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("certs")) as found:
        yield found


def apply(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


class Configured:
    """Policies with one binding each that mean objects with the label ``case: <name>``."""

    def __init__(self, server: Server, case: str) -> None:
        self.server = server
        self.case = case

    def policy(
        self, *mutations: Object, name: str = "", rule: Object = CORE, bound: bool = True, **spec: Any
    ) -> tuple[int, Object]:
        match = {"resourceRules": [rule], "objectSelector": {"matchLabels": {"case": self.case}}}
        spec = {"matchConstraints": match, "mutations": mutations, "reinvocationPolicy": "Never", **spec}
        kind = {"kind": "MutatingAdmissionPolicy", "apiVersion": _V1}
        body = {**kind, "metadata": {"name": name or self.case}, "spec": spec}
        status, _, data = self.server.ask("POST", POLICIES, body, Content_Type="application/json")
        assert not bound or status == 201, data
        if bound and status == 201:
            self.binding(name or self.case)
        return status, json.loads(data)

    def binding(self, policy: str, **spec: Any) -> None:
        kind = {"kind": "MutatingAdmissionPolicyBinding", "apiVersion": _V1}
        body = {**kind, "metadata": {"name": policy}, "spec": {"policyName": policy, **spec}}
        self.server.json("POST", BINDINGS, body)

    def create(self, **metadata: Any) -> tuple[int, Object]:
        return self.post(CONFIG_MAPS, config_map(self.case, **metadata))

    def post(self, path: str, obj: Object) -> tuple[int, Object]:
        obj["metadata"].setdefault("labels", {})["case"] = self.case
        status, _, data = self.server.ask("POST", path, obj, Content_Type="application/json")
        return status, json.loads(data)


_NUMBERS = itertools.count()


@pytest.fixture
def configured(server: Server) -> Configured:
    return Configured(server, f"case-{next(_NUMBERS)}")


def deployment(name: str, **spec: Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": name}, "spec": spec}


def test_an_apply_configuration_is_merged(configured: Configured) -> None:
    expression = """
        Object{
          metadata: Object.metadata{labels: {"added": object.metadata.name}},
          spec: Object.spec{
            replicas: 3,
            template: Object.spec.template{
              spec: Object.spec.template.spec{
                containers: [Object.spec.template.spec.containers{name: "side", image: "proxy"}]
              }
            }
          }
        }"""
    assert configured.policy(apply(expression), rule=APPS)[0] == 201
    status, made = configured.post(DEPLOYMENTS, deployment(configured.case))
    assert status == 201
    assert made["metadata"]["labels"] == {"case": configured.case, "added": configured.case}
    assert made["spec"]["replicas"] == 3
    containers = made["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["web", "side"] or [
        item["name"] for item in containers
    ] == ["side", "web"]
    side = next(item for item in containers if item["name"] == "side")
    assert side["imagePullPolicy"] == "Always"  # it has its defaults
    owned = json.dumps(made["metadata"]["managedFields"])
    assert "side" not in owned
    assert "added" not in owned


def test_a_json_patch_is_applied(configured: Configured) -> None:
    expression = """
        [
          JSONPatch{op: "test", path: "/data/a", value: "1"},
          JSONPatch{op: "add", path: "/metadata/annotations", value: {"a": "b"}},
          JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/x"), value: "1"},
          JSONPatch{op: "copy", from: "/data/a", path: "/data/b"}
        ] + (has(object.immutable) ? [] : [JSONPatch{op: "add", path: "/immutable", value: false}])"""
    assert configured.policy(patch(expression))[0] == 201
    status, made = configured.create()
    assert status == 201
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"]["example.com/x"] == "1"
    assert (made["data"], made["immutable"]) == ({"a": "1", "b": "1"}, False)


def test_a_test_that_fails_leaves_the_object(configured: Configured) -> None:
    expression = """[JSONPatch{op: "test", path: "/data/a", value: "other"},
                     JSONPatch{op: "remove", path: "/data"}]"""
    configured.policy(patch(expression))
    status, made = configured.create()
    assert (status, made["data"]) == (201, {"a": "1"})


def test_an_object_in_a_json_patch_is_checked_against_its_names(configured: Configured) -> None:
    expression = """[JSONPatch{op: "add", path: "/metadata/annotations",
                     value: Object.metadata{annotations: Object.metadata.labels{a: "b"}}}]"""
    configured.policy(patch(expression))
    status, refusal = configured.create()
    names = f"policy '{configured.case}' with binding '{configured.case}' denied request: "
    assert status == 403
    assert refusal["reason"] == "Invalid"
    assert refusal["message"] == (
        f'{names}type mismatch: unexpected type name "Object.metadata.labels", expected '
        '"Object.metadata.annotations", which matches field name path from root Object type'
    )
    assert refusal["details"]["causes"] == [{"message": refusal["message"]}]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (
            "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'a': 'b'}}}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.selector",
        ),
        (
            "Object{spec: Object.spec{size: 3}}",
            "error applying patch: failed to convert patch object to typed object: .spec.size: field not "
            "declared in schema",
        ),
        (
            "Object{spec: Object.spec{replicas: 'many'}}",
            "error applying patch: failed to convert patch object to typed object: .spec.replicas: expected "
            "numeric (int or float), got string",
        ),
        ("Object{spec: Object.spec{replicas: object.spec.none}}", "no such key: none"),
    ],
)
def test_what_cannot_be_applied_is_refused(server: Server, expression: str, reason: str) -> None:
    configured = Configured(server, f"bad-{next(_NUMBERS)}")
    assert configured.policy(apply(expression), rule=APPS)[0] == 201
    status, refusal = configured.post(DEPLOYMENTS, deployment(configured.case))
    assert status == 403
    assert reason in refusal["message"]
    ignoring = Configured(server, configured.case + "-ignored")
    ignoring.policy(apply(expression), rule=APPS, failurePolicy="Ignore")
    assert ignoring.post(DEPLOYMENTS, deployment(ignoring.case))[0] == 201


@pytest.mark.parametrize(
    ("mutation", "complaint"),
    [
        (apply("object.metadata.name == 'x'"), "must evaluate to Object"),
        (apply("Thing{a: 1}"), "undeclared reference to 'Thing' (in container '')"),
        (patch("[JSONPatch{op: 1}]"), "expected type of field 'op' is 'string' but provided type is 'int'"),
        (patch("[JSONPatch{verb: 'add'}]"), "undefined field 'verb'"),
        (patch("JSONPatch{op: 'add'}"), "must evaluate to list(JSONPatch)"),
        (apply("Object{"), "Syntax error"),
    ],
)
def test_a_mutation_that_does_not_compile_is_refused(
    configured: Configured, mutation: Object, complaint: str
) -> None:
    status, refusal = configured.policy(mutation, name="x", bound=False)
    assert status == 422
    [cause] = refusal["details"]["causes"]
    field = "applyConfiguration" if "applyConfiguration" in mutation else "jsonPatch"
    assert cause["field"] == f"spec.mutations[0].{field}.expression"
    assert complaint in cause["message"]


def test_conditions_variables_and_params(configured: Configured) -> None:
    server = configured.server
    server.json("POST", CONFIG_MAPS, {**config_map("values"), "data": {"team": "blue"}})
    configured.policy(
        apply("Object{metadata: Object.metadata{labels: {variables.key: params.data.team}}}"),
        bound=False,
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        variables=[{"name": "key", "expression": "'te' + 'am'"}],
        matchConditions=[{"name": "small", "expression": "size(object.data) < 2"}],
    )
    reference = {"name": "values", "namespace": "default", "parameterNotFoundAction": "Deny"}
    configured.binding(configured.case, paramRef=reference)
    assert configured.create()[1]["metadata"]["labels"]["team"] == "blue"
    large = {**config_map(configured.case + "-large"), "data": {"a": "1", "b": "2"}}
    status, made = configured.post(CONFIG_MAPS, large)
    assert (status, "team" in made["metadata"]["labels"]) == (201, False)
    server.json("DELETE", f"{CONFIG_MAPS}/values")
    status, refusal = configured.post(CONFIG_MAPS, config_map(configured.case + "-none"))
    assert status == 403
    assert refusal["message"] == (
        f"policy '{configured.case}' with binding '{configured.case}' denied request: failed to configure binding: "
        "no params found for policy binding with `Deny` parameterNotFoundAction"
    )
    assert refusal["reason"] == "Forbidden"


@pytest.mark.parametrize(("again", "expected"), [("Never", "a"), ("IfNeeded", "aba")])
def test_a_policy_may_see_what_later_ones_made(server: Server, again: str, expected: str) -> None:
    """The first appends its letter to a trail, then the second; once more for the first if it is needed."""
    configured = Configured(server, f"trail-{again.lower()}")
    before = 'object.metadata.?annotations.?trail.orValue("")'
    trail = 'Object{metadata: Object.metadata{annotations: {"trail": ' + before + ' + "%s"}}}'
    configured.policy(apply(trail % "a"), name=f"{configured.case}-1", reinvocationPolicy=again)
    if again == "IfNeeded":
        configured.policy(apply(trail % "b"), name=f"{configured.case}-2")
    assert configured.create()[1]["metadata"]["annotations"] == {"trail": expected}


def test_mutations_of_one_policy_see_each_other(configured: Configured) -> None:
    first = apply('Object{data: {"n": "1"}}')
    second = patch('[JSONPatch{op: "replace", path: "/data/n", value: object.data.n + "2"}]')
    configured.policy(first, second)
    assert configured.create()[1]["data"] == {"a": "1", "n": "12"}


def test_updates_are_mutated_and_the_namespace_stays(configured: Configured) -> None:
    configured.policy(
        apply('request.operation == "UPDATE" ? Object{data: {"seen": oldObject.data.a}} : Object{}')
    )
    configured.create()
    body = {**config_map(configured.case, labels={"case": configured.case}), "data": {"a": "w"}}
    changed = configured.server.json("PUT", f"{CONFIG_MAPS}/{configured.case}", body)
    assert changed["data"] == {"a": "w", "seen": "1"}
    mover = Configured(configured.server, "mover")
    mover.policy(apply('Object{metadata: Object.metadata{namespace: "kube-system"}}'))
    status, refusal = mover.create()
    assert status == 400
    assert "does not match the namespace" in refusal["message"]


def test_a_mutation_has_a_budget(configured: Configured) -> None:
    numbers = "lists.range(1000)"
    costly = f"{numbers}.map(a, {numbers}.map(b, a * b)).size() > 0 ? Object{{}} : Object{{}}"
    configured.policy(apply(costly))
    status, refusal = configured.create()
    assert status == 403
    assert "actual cost limit exceeded" in refusal["message"]


def test_configurations_of_admission_are_never_mutated(configured: Configured) -> None:
    everything = rule("*", "*", "*/*")
    configured.policy(apply('Object{metadata: Object.metadata{labels: {"x": "y"}}}'), rule=everything)
    kind = {"kind": "MutatingAdmissionPolicyBinding", "apiVersion": _V1}
    metadata = {"name": "unchanged", "labels": {"case": configured.case}}
    made = configured.server.json(
        "POST", BINDINGS, {**kind, "metadata": metadata, "spec": {"policyName": "none"}}
    )
    assert made["metadata"]["labels"] == {"case": configured.case}


def test_custom_resources_are_mutated_by_their_schema(configured: Configured) -> None:
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1}},
    }
    parts = {"type": "array", "items": {**item, "required": ["name"]}}
    parts |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    tags = {"type": "array", "items": {"type": "string"}}
    spec = {"type": "object", "properties": {"parts": parts, "tags": tags}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    definition = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": versions}
    kind = {"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1"}
    server, metadata = configured.server, {"name": "widgets.example.com"}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.json("POST", path, {**kind, "metadata": metadata, "spec": definition})
    widgets = rule("example.com", "v1", "widgets")
    configured.policy(
        apply('Object{spec: Object.spec{parts: [Object.spec.parts{name: "b"}]}}'),
        apply("object.metadata.name == 'strict' ? Object{spec: Object.spec{tags: ['x']}} : Object{}"),
        rule=widgets,
    )
    widget = {"kind": "Widget", "apiVersion": "example.com/v1", "spec": {"parts": [{"name": "a", "size": 2}]}}
    path = "/apis/example.com/v1/namespaces/default/widgets"
    status, made = configured.post(path, {**widget, "metadata": {"name": "w"}})
    assert status == 201
    parts = sorted(made["spec"]["parts"], key=lambda part: part["name"])
    assert parts == [{"name": "a", "size": 2}, {"name": "b", "size": 1}]
    status, refusal = configured.post(path, {**widget, "metadata": {"name": "strict"}})
    assert status == 403
    assert "may not mutate atomic arrays, maps or structs: .spec.tags" in refusal["message"]


def test_an_object_is_mutated_in_the_version_that_the_policy_wants(configured: Configured) -> None:
    """The write is of autoscaling/v1, the policy of v2."""
    expression = """Object{spec: Object.spec{metrics: [Object.spec.metrics{type: "Resource"}]}}"""
    target = '{"type": dyn("Utilization"), "averageUtilization": dyn(42)}'
    metric = (
        '[{"type": dyn("Resource"), "resource": dyn({"name": dyn("cpu"), "target": dyn(' + target + ")})}]"
    )
    patched = '[JSONPatch{op: "add", path: "/spec/metrics", value: ' + metric + "}]"
    configured.policy(patch(patched), rule=rule("autoscaling", "v2", "horizontalpodautoscalers"))
    assert "atomic" in _refused_for(configured, expression)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    kind = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1"}
    made = {
        **kind,
        "metadata": {"name": configured.case},
        "spec": {"maxReplicas": 3, "scaleTargetRef": target},
    }
    status, stored = configured.post("/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", made)
    assert (status, stored["apiVersion"]) == (201, "autoscaling/v1")
    assert stored["spec"]["targetCPUUtilizationPercentage"] == 42


def _refused_for(configured: Configured, expression: str) -> str:
    """The refusal of an object that the expression cannot be applied to."""
    other = Configured(configured.server, configured.case + "-other")
    other.policy(apply(expression), rule=rule("autoscaling", "v2", "horizontalpodautoscalers"))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    kind = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"}
    made = {**kind, "metadata": {"name": other.case}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}}
    status, refusal = other.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", made)
    assert status == 403
    return str(refusal["message"])
