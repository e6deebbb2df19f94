"""Admission webhooks: one API server over a store in memory, and a webhook over TLS, in one event loop."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from apiserver.admission.interface import Attributes
from apiserver.admission.webhooks.review import BadResponse, denial, read
from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.auth.user import User
from apiserver.webhook_client import WebhookClient, WebhookUnreachable
from tests.support.served import CONFIG_MAPS, Server, config_map, running
from tests.unit.apiserver.admission.test_policies import SCALERS, autoscaler
from tests.unit.apiserver.admission.webhook_server import Answer, WebhookServer, patch

GROUP = "/apis/admissionregistration.k8s.io/v1"
RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["*"],
    "resources": ["configmaps", "configmaps/*"],
}


@dataclass
class World:
    server: Server
    hooks: WebhookServer

    def configure(self, kind: str, name: str, *hooks: dict[str, Any]) -> None:
        body = {"kind": f"{kind}WebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
        path = f"{GROUP}/{kind.lower()}webhookconfigurations"
        self.server.json("POST", path, {**body, "metadata": {"name": name}, "webhooks": hooks})

    def hook(self, case: str, answer: Answer | None = None, *, path: str = "", **more: Any) -> dict[str, Any]:
        """Of configmaps with the label ``case``."""
        path = path or f"/{case}"
        if answer is not None:
            self.hooks.answers[path] = answer
        return {
            "name": f"{path[1:].replace('/', '-')}.example.com",
            "clientConfig": self.hooks.client_config(path),
            "rules": [RULE],
            "objectSelector": {"matchLabels": {"case": case}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }

    def create(self, case: str, name: str = "a", query: str = "") -> tuple[int, dict[str, Any], list[str]]:
        obj = config_map(f"{case}-{name}", labels={"case": case})
        path = CONFIG_MAPS + query
        status, headers, data = self.server.ask("POST", path, obj, Content_Type="application/json")
        return status, json.loads(data), list(headers.getall("Warning", []))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("certs")) as server:
        hooks = WebhookServer(tmp_path_factory.mktemp("webhook"))
        server.run(hooks.start())
        try:
            yield World(server, hooks)
        finally:
            server.run(hooks.stop())


def allow(_: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def test_a_refusal_is_told_in_the_webhooks_words(world: World) -> None:
    status = {"code": 418, "reason": "Teapot", "message": "no coffee"}
    hook = world.hook("refused", lambda _: {"allowed": False, "status": status, "warnings": ["careful"]})
    world.configure("Validating", "refused", hook)
    code, body, warnings = world.create("refused")
    assert (code, body["reason"]) == (418, "Teapot")
    assert body["message"] == 'admission webhook "refused.example.com" denied the request: no coffee'
    assert warnings == ['299 - "careful"']


META = {"apiVersion": "meta.k8s.io/v1"}


def test_what_a_webhook_is_asked(world: World) -> None:
    world.configure("Validating", "asked", world.hook("asked", allow))
    assert world.create("asked")[0] == 201
    path = f"{CONFIG_MAPS}/asked-a"
    patch_path = f"{path}?fieldManager=me"
    world.server.json("PATCH", patch_path, {"data": {"b": "2"}}, Content_Type="application/merge-patch+json")
    world.server.json("DELETE", f"{path}?gracePeriodSeconds=0")
    created, updated, deleted = world.hooks.asked_of("/asked")
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    expected = {"kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource}
    expected |= {"name": "asked-a", "namespace": "default", "operation": "CREATE", "dryRun": False}
    assert {name: created[name] for name in expected} == expected
    assert created["object"]["data"] == {"a": "1"}
    assert created["oldObject"] is None
    assert created["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
    assert created["userInfo"]["username"]
    assert updated["options"] == {**META, "kind": "UpdateOptions", "fieldManager": "me"}
    assert deleted["options"] == {**META, "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"a": "1"}, {"a": "1", "b": "2"})
    assert (deleted["operation"], deleted["object"]) == ("DELETE", None)
    assert deleted["oldObject"]["metadata"]["name"] == "asked-a"
    assert len({request["uid"] for request in (created, updated, deleted)}) == 3


def test_a_patch_changes_what_is_stored(world: World) -> None:
    operations = (
        {"op": "add", "path": "/data/added", "value": "yes"},
        {"op": "add", "path": "/unknown", "value": 1},
    )
    world.configure("Mutating", "patched", world.hook("patched", lambda _: patch(*operations)))
    code, body, _ = world.create("patched")
    assert (code, body["data"]) == (201, {"a": "1", "added": "yes"})
    stored = world.server.json("GET", f"{CONFIG_MAPS}/patched-a")
    assert stored["data"] == {"a": "1", "added": "yes"}
    assert "unknown" not in stored


def test_a_webhook_that_wants_to_sees_what_later_ones_change(world: World) -> None:
    def first(request: dict[str, Any]) -> dict[str, Any]:
        seen = "late" if "late" in request["object"]["data"] else "early"
        return patch({"op": "add", "path": f"/data/seen-{seen}", "value": "1"})

    later = patch({"op": "add", "path": "/data/late", "value": "1"})
    again = world.hook("again", first, path="/again/first", reinvocationPolicy="IfNeeded")
    world.configure("Mutating", "again-1", again)
    world.configure("Mutating", "again-2", world.hook("again", lambda _: later, path="/again/second"))
    assert world.create("again")[1]["data"] == {"a": "1", "late": "1", "seen-early": "1", "seen-late": "1"}
    assert [len(world.hooks.asked_of(f"/again/{name}")) for name in ("first", "second")] == [2, 1]


def test_a_patch_is_made_in_the_version_that_the_webhook_names(world: World) -> None:
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "operations": ["CREATE"]}
    path = "/spec/metrics/0/resource/target/averageUtilization"
    answer = patch({"op": "replace", "path": path, "value": 7})
    rules = [{**rule, "resources": ["horizontalpodautoscalers"]}]
    world.configure("Mutating", "versions", world.hook("versions", lambda _: answer, rules=rules))
    created = world.server.json("POST", SCALERS, autoscaler("patched", 50))
    assert created["apiVersion"] == "autoscaling/v1"
    assert created["spec"]["targetCPUUtilizationPercentage"] == 7


def test_evictions_are_asked_about_as_what_they_are(world: World) -> None:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods/eviction"],
    }
    refuse = world.hook("evicted", lambda _: {"allowed": False}, rules=[rule], objectSelector={})
    world.configure("Validating", "evicted", refuse)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "a", "namespace": "default"},
    }
    path = "/api/v1/namespaces/default/pods/a/eviction"
    status, _, data = world.server.ask("POST", path, eviction, Content_Type="application/json")
    assert status == 400
    assert b"evicted.example.com" in data
    (asked,) = world.hooks.asked_of("/evicted")
    assert (asked["subResource"], asked["object"]["kind"], asked["kind"]["kind"]) == (
        "eviction",
        *["Eviction"] * 2,
    )


@pytest.mark.parametrize(
    ("name", "code", "text", "expected"),
    [
        (
            "boom",
            500,
            "boom",
            'failed to call webhook: an error on the server ("boom") has prevented the request',
        ),
        ("gone", 404, "", "failed to call webhook: the server could not find the requested resource"),
        ("words", 200, "words", "failed to call webhook: Post "),
        ("empty", 200, "{}", "received invalid webhook response: webhook response was absent"),
        (
            "uid",
            200,
            '{"response": {"uid": "1"}}',
            "received invalid webhook response: expected response.uid=",
        ),
    ],
)
def test_a_webhook_that_fails(world: World, name: str, code: int, text: str, expected: str) -> None:
    case = f"fails-{name}"
    world.hooks.raw[f"/{case}"] = (code, text)
    world.configure("Validating", case, world.hook(case))
    status, body, _ = world.create(case)
    assert (status, body["reason"]) == (500, "InternalError")
    prefix = f'Internal error occurred: failed calling webhook "{case}.example.com": '
    assert body["message"].startswith(prefix + expected)


def test_failures_may_be_ignored(world: World, caplog: pytest.LogCaptureFixture) -> None:
    hook = world.hook("ignored", failurePolicy="Ignore", clientConfig={"url": "https://127.0.0.1:9/x"})
    world.configure("Validating", "ignored", hook)
    world.configure("Mutating", "ignored", hook)
    with caplog.at_level(logging.ERROR, "apiserver.admission.webhooks.calling"):
        assert world.create("ignored")[0] == 201


def test_a_service_that_is_not_there(world: World) -> None:
    service = {"namespace": "default", "name": "nobody", "path": "/x"}
    world.configure("Validating", "service", world.hook("service", clientConfig={"service": service}))
    assert world.create("service")[1]["message"] == (
        'Internal error occurred: failed calling webhook "service.example.com": failed to call webhook: Post '
        '"https://nobody.default.svc:443/x?timeout=10s": service "nobody" not found'
    )


def test_an_authority_that_is_not_known(world: World) -> None:
    config = {"url": world.hooks.client_config("/untrusted")["url"]}
    world.configure("Validating", "untrusted", world.hook("untrusted", allow, clientConfig=config))
    status, body, _ = world.create("untrusted")
    assert status == 500
    assert "certificate" in body["message"]
    assert not world.hooks.asked_of("/untrusted")


def test_a_webhook_has_its_time_and_a_service_its_name(world: World) -> None:
    """The certificate is for 127.0.0.1, not for the service."""
    config = world.hooks.client_config("/time")
    service = {"namespace": "n", "name": "hooks", "port": world.hooks.port}

    async def find(namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == ("n", "hooks")
        return {"spec": {"clusterIP": "127.0.0.1"}}

    async def ask() -> None:
        client = WebhookClient(find)
        with pytest.raises(WebhookUnreachable, match=r"/time.timeout=0s.: context deadline exceeded"):
            await client.send(config, {}, 0)
        with pytest.raises(
            WebhookUnreachable, match=rf"Post .https://hooks.n.svc:{world.hooks.port}/.*certificate"
        ):
            await client.send({"service": service, "caBundle": config["caBundle"]}, {}, 5)
        await client.close()

    world.server.run(ask())
    assert not world.hooks.asked_of("/")


def test_no_side_effects_in_a_dry_run(world: World) -> None:
    path = f"{GROUP}/validatingwebhookconfigurations"
    world.configure("Validating", "harmless", world.hook("harmless", allow, sideEffects="NoneOnDryRun"))
    assert world.create("harmless", query="?dryRun=All")[0] == 201
    assert world.hooks.asked_of("/harmless")[0]["dryRun"] is True
    assert world.server.ask("DELETE", f"{path}/harmless")[0] == 200
    assert world.create("harmless", query="?dryRun=All")[0] == 201
    assert len(world.hooks.asked_of("/harmless")) == 1


def test_a_mutation_is_told_to_the_audit_log_and_so_is_a_failure_that_is_ignored(world: World) -> None:
    caller, told = world.server.server.services.admission, dict[str, str]()
    world.configure(
        "Mutating",
        "told",
        world.hook("told", lambda _: {**patch({"op": "add", "path": "/data/b", "value": "1"}), **NOTE}),
        world.hook(
            "told", path="/told/none", failurePolicy="Ignore", clientConfig={"url": "https://127.0.0.1:9"}
        ),
    )
    obj = config_map("told-a", labels={"case": "told"}, namespace="default")
    gvr, gvk = GroupVersionResource("", "v1", "configmaps"), GroupVersionKind("", "v1", "ConfigMap")
    write = Attributes(
        "CREATE", gvr, gvk, "default", "told-a", obj, None, User("a"), annotate=told.__setitem__
    )
    world.server.run(caller.admit(write))
    mutated = [json.loads(told[key]) for key in sorted(told) if key.startswith("mutation.")]
    first = {"configuration": "told", "webhook": "told.example.com", "mutated": True}
    assert first in mutated
    assert {**first, "webhook": "told-none.example.com", "mutated": False} in mutated
    assert told["told.example.com/why"] == "because"
    assert [value for key, value in told.items() if key.startswith("failed-open.mutation.")] == [
        "told-none.example.com"
    ]


NOTE = {"auditAnnotations": {"why": "because"}}


def test_a_dry_run_is_refused_where_a_webhook_has_side_effects(world: World) -> None:
    """Such webhooks can only be left from older servers: the rules of today do not let them in."""
    hook = world.hook("effects", allow, sideEffects="Some")
    kind = {"kind": "ValidatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
    value = codec.encode({**kind, "metadata": {"name": "effects"}, "webhooks": [hook]})
    prefix, services = "/registry/validatingwebhookconfigurations/", world.server.server.services

    async def store() -> None:
        revision = await services.storage.create(f"{prefix}effects", value)
        await services.caches.of(prefix).wait_until(revision)

    world.server.run(store())
    code, body, _ = world.create("effects", query="?dryRun=All")
    text = 'admission webhook "effects.example.com" does not support dry run'
    assert (code, body["reason"], body["message"]) == (400, "BadRequest", text)
    assert world.create("effects")[0] == 201
    assert len(world.hooks.asked_of("/effects")) == 1


def test_match_conditions(world: World) -> None:
    condition = {"name": "only-b", "expression": "object.metadata.name.endsWith('-b')"}
    refuse = world.hook("conditions", lambda _: {"allowed": False}, matchConditions=[condition])
    world.configure("Validating", "conditions", refuse)
    assert world.create("conditions", "a")[0] == 201
    code, body, _ = world.create("conditions", "b")
    text = 'admission webhook "conditions.example.com" denied the request without explanation'
    assert (code, body["message"]) == (400, text)


def test_conditions_that_do_not_compile_are_not_stored(world: World) -> None:
    condition = {"name": "broken", "expression": "object.nothing +"}
    hook = world.hook("broken", allow, matchConditions=[condition])
    body = {"kind": "ValidatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
    body |= {"metadata": {"name": "broken"}, "webhooks": [hook]}  # type: ignore[dict-item]
    path = f"{GROUP}/validatingwebhookconfigurations"
    status, _, data = world.server.ask("POST", path, body, Content_Type="application/json")
    assert status == 422
    assert b"webhooks[0].matchConditions[0].expression: Invalid value: " in data


def test_a_long_answer_is_read_to_its_end(world: World) -> None:
    long = "x" * 400_000
    answer = patch({"op": "add", "path": "/data/long", "value": long})
    world.configure("Mutating", "long", world.hook("long", lambda _: answer))
    assert world.create("long")[1]["data"]["long"] == long


def test_configurations_are_no_webhooks_business(world: World) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    hook = world.hook("all", lambda _: {"allowed": False}, rules=[rule], objectSelector={})
    world.configure("Validating", "all", hook)
    assert world.create("all")[0] == 400
    path = f"{GROUP}/validatingwebhookconfigurations/all"
    assert world.server.ask("DELETE", path)[0] == 200
    assert world.create("all")[0] == 201


V1 = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}


@pytest.mark.parametrize(
    ("response", "mutating", "expected"),
    [
        ({"patch": "W10="}, True, "webhook returned response.patch but not response.patchType"),
        ({"patchType": "JSONPatch"}, True, "webhook returned response.patchType but not response.patch"),
        ({"patch": "W10=", "patchType": "Merge"}, True, 'invalid response.patchType of "Merge"'),
        ({"patch": "W1", "patchType": "JSONPatch"}, True, "received undecodable patch in webhook response: "),
        ({"patch": "W10="}, False, "validating webhook may not return response.patch"),
        ({"patchType": ""}, False, "validating webhook may not return response.patchType"),
    ],
)
def test_answers_that_are_none(response: dict[str, Any], mutating: bool, expected: str) -> None:
    with pytest.raises(BadResponse, match=expected):
        read({**V1, "response": {"uid": "1", "allowed": True, **response}}, "1", mutating=mutating)


def test_an_answer_of_another_version() -> None:
    answer = {**V1, "apiVersion": "admission.k8s.io/v1beta1", "response": {"uid": "1", "allowed": True}}
    with pytest.raises(
        BadResponse, match=r"expected webhook response of .*/v1, Kind=AdmissionReview, got .*/v1beta1"
    ):
        read(answer, "1", mutating=False)


@pytest.mark.parametrize(
    ("result", "code", "message"),
    [
        ({}, 400, "denied the request without explanation"),
        ({"code": 200, "reason": "Bad"}, 400, "denied the request: Bad"),
        ({"code": 403, "message": "no", "reason": "Bad"}, 403, "denied the request: no"),
    ],
)
def test_denials(result: dict[str, Any], code: int, message: str) -> None:
    error = denial("x", result)
    assert (error.code, error.message) == (code, f'admission webhook "x" {message}')
