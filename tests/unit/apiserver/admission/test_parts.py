"""What admission sees of subresources: options of connections, bindings, Scales."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import Server, running
from tests.unit.apiserver.admission.webhook_server import WebhookServer, patch

GROUP = "/apis/admissionregistration.k8s.io/v1"
PODS, DEPLOYMENTS = "/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/deployments"
JSON = {"Content_Type": "application/json"}
Object = dict[str, Any]


def configure(server: Server, kind: str, name: str, rule: Object, **spec: Any) -> None:
    """A policy and its binding."""
    plural = kind[0].lower() + kind[1:].replace("Policy", "policies").replace("Admission", "admission")
    api = {"apiVersion": "admissionregistration.k8s.io/v1"}
    match = {"resourceRules": [{"apiVersions": ["v1"], **rule}]}
    policy = {**api, "kind": kind, "metadata": {"name": name}, "spec": {"matchConstraints": match, **spec}}
    server.json("POST", f"{GROUP}/{plural}", policy)
    bound = {"policyName": name, **({"validationActions": ["Deny"]} if kind.startswith("V") else {})}
    binding = {**api, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": bound}
    server.json("POST", f"{GROUP}/{plural.replace('policies', 'policybindings')}", binding)


def validate(server: Server, name: str, operation: str, resource: str, expression: str) -> None:
    group = "apps" if resource.startswith("deployments") else ""
    rule = {"apiGroups": [group], "operations": [operation], "resources": [resource]}
    checks = [{"expression": expression, "messageExpression": "string(object.kind) + ' refused'"}]
    configure(server, "ValidatingAdmissionPolicy", name, rule, validations=checks)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("certs")) as found:
        validate(found, "exec", "CONNECT", "pods/exec", "object.command != ['sh', '-i'] && has(object.stdin)")
        validate(found, "attach", "CONNECT", "pods/attach", "object.container != 'secret'")
        validate(found, "forward", "CONNECT", "pods/portforward", "object.ports.all(p, p > 1024)")
        validate(found, "proxy", "CONNECT", "*/proxy", "object.path != '/admin'")
        validate(found, "bind", "CREATE", "pods/binding", "object.target.name != 'bad'")
        old = "oldObject.spec.?replicas.orValue(0) < 9"
        validate(found, "scale", "UPDATE", "deployments/scale", f"object.spec.replicas <= 5 && {old}")
        yield found


def message(server: Server, method: str, path: str, body: Any = None) -> tuple[int, str]:
    status, _, data = server.ask(method, path, body, **JSON)
    return status, json.loads(data).get("message", "")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("pods/p/exec?command=sh&command=-i&stdin=true", "PodExecOptions"),
        ("pods/p/exec?command=ls", "PodExecOptions"),
        ("pods/p/attach?container=secret", "PodAttachOptions"),
        ("pods/p/portforward?ports=8080,80", "PodPortForwardOptions"),
        ("pods/p/proxy/admin", "PodProxyOptions"),
        ("services/s/proxy/admin", "ServiceProxyOptions"),
    ],
)
def test_a_connection_is_refused_by_its_options(server: Server, path: str, kind: str) -> None:
    status, text = message(server, "POST", f"/api/v1/namespaces/default/{path}")
    assert status == 422
    assert text.endswith(f"denied request: {kind} refused")


@pytest.mark.parametrize(
    "path", ["pods/p/exec?command=ls&stdin=true", "pods/p/portforward?ports=8080", "pods/p/proxy/user"]
)
def test_other_connections_are_made(server: Server, path: str) -> None:
    assert message(server, "POST", f"/api/v1/namespaces/default/{path}") == (404, 'pods "p" not found')


def test_a_node_proxy_is_asked_for(server: Server) -> None:
    status, text = message(server, "GET", "/api/v1/nodes/n/proxy/admin")
    assert (status, text.endswith("NodeProxyOptions refused")) == (422, True)


def test_options_may_be_changed(server: Server, tmp_path: Path) -> None:
    """What a webhook makes of the ports is what the policies judge, and the kubelet would be asked for."""
    hooks = WebhookServer(tmp_path)
    hooks.answers["/ports"] = lambda _: patch({"op": "replace", "path": "/ports/0", "value": 80})
    server.run(hooks.start())
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CONNECT"],
        "resources": ["pods/portforward"],
    }
    hook = {
        "name": "ports.example.com",
        "clientConfig": hooks.client_config("/ports"),
        "rules": [rule],
        "matchConditions": [{"name": "mine", "expression": "request.name == 'changed'"}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    server.json(
        "POST",
        f"{GROUP}/mutatingwebhookconfigurations",
        {**api, "metadata": {"name": "p"}, "webhooks": [hook]},
    )
    status, text = message(server, "POST", f"{PODS}/changed/portforward?ports=8080")
    server.run(hooks.stop())
    assert (status, text.endswith("PodPortForwardOptions refused")) == (422, True)
    assert hooks.asked[0][1]["object"] == {
        "kind": "PodPortForwardOptions",
        "apiVersion": "v1",
        "ports": [8080],
    }


def test_a_policy_cannot_change_what_has_no_schema(server: Server) -> None:
    rule = {"apiGroups": [""], "operations": ["CONNECT"], "resources": ["pods/exec"]}
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
    conditions = [{"name": "mine", "expression": "request.name == 'fixed'"}]
    spec = {"mutations": [mutation], "matchConditions": conditions, "reinvocationPolicy": "Never"}
    configure(server, "MutatingAdmissionPolicy", "options", rule, **spec)
    status, text = message(server, "POST", f"{PODS}/fixed/exec?command=ls&stdin=true")
    assert (status, text.partition(" not found. ")[0]) == (503, "Resource kind /v1, Kind=PodExecOptions")


@pytest.mark.parametrize("path", [f"{PODS}/bound/binding", "/api/v1/namespaces/default/bindings"])
def test_a_binding_is_refused(server: Server, path: str) -> None:
    binding = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": "bound"},
        "target": {"name": "bad"},
    }
    status, text = message(server, "POST", path, binding)
    if path.endswith("bindings"):  # a resource of its own, which no rule means
        assert (status, text) == (404, 'pods "bound" not found')
    else:
        assert (status, text.endswith("Binding refused")) == (422, True)


def test_a_binding_that_is_allowed_is_made(server: Server) -> None:
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    server.json("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    pod = {"metadata": {"name": "good"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    server.json("POST", PODS, {"kind": "Pod", "apiVersion": "v1", **pod})
    binding = {"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "good"}, "target": {"name": "n1"}}
    assert message(server, "POST", f"{PODS}/good/binding", binding)[0] == 201
    assert server.json("GET", f"{PODS}/good")["spec"]["nodeName"] == "n1"


def test_scales_are_shown_and_may_be_changed(server: Server) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    made = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "spec": spec}
    server.json("POST", DEPLOYMENTS, made)
    scale = server.json("GET", f"{DEPLOYMENTS}/web/scale")
    scale["spec"] = {"replicas": 7}
    status, text = message(server, "PUT", f"{DEPLOYMENTS}/web/scale", scale)
    assert (status, text.endswith("Scale refused")) == (422, True)
    rule = {"apiGroups": ["apps"], "operations": ["UPDATE"], "resources": ["deployments/scale"]}
    expression = "Object{spec: Object.spec{replicas: object.spec.replicas - 3}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    spec = {"mutations": [mutation], "reinvocationPolicy": "Never"}
    configure(server, "MutatingAdmissionPolicy", "fewer", rule, **spec)
    assert server.json("PUT", f"{DEPLOYMENTS}/web/scale", scale)["spec"] == {"replicas": 4}
    assert server.json("GET", f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 4
