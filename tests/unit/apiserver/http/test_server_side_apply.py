"""Owners of fields over real connections to one server: versions, options, bodies, and writes that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest

from apiserver.http import cbor, yaml
from apiserver.storage.memory import MemoryStorage
from tests.support.served import Server, running

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
HPA = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
YAML = "application/apply-patch+yaml"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    gates = frozenset({"CBORServingAndStorage"})
    with running(tmp_path_factory.mktemp("certs"), feature_gates=gates) as found:
        yield found


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def apply(server: Server, path: str, body: Any, query: str = "fieldManager=m", form: str = YAML) -> Any:
    _, _, data = server.ask("PATCH", f"{path}?{query}", body, Content_Type=form)
    return json.loads(data)


def owners(obj: Object) -> dict[str, Any]:
    entries = obj["metadata"].get("managedFields", [])
    return {f"{e['manager']} {e['apiVersion']}": e["fieldsV1"] for e in entries}


def test_a_write_that_changes_nothing_is_none(server: Server) -> None:
    path = f"{CONFIG_MAPS}/idle"
    first = server.json("POST", CONFIG_MAPS, config_map("idle", a="1"), User_Agent="writer/1")
    same = {**config_map("idle", a="1"), "metadata": {"labels": {}, "name": "idle"}}
    assert server.json("PUT", path, same, User_Agent="writer/1") == first
    applied = apply(server, path, config_map("idle", a="1"))
    version = applied["metadata"]["resourceVersion"]
    for _ in range(2):
        again = apply(server, path, config_map("idle", a="1"))
        assert again["metadata"]["resourceVersion"] == version
    assert owners(again) == {"m v1": {"f:data": {"f:a": {}}}, "writer v1": {"f:data": {".": {}, "f:a": {}}}}


def test_managers_are_named_by_their_user_agent(server: Server) -> None:
    made = server.json("POST", CONFIG_MAPS, config_map("agent", a="1"), User_Agent="tool\u00e9 x/1.2 (linux)")
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["tool\u00e9 x"]
    nobody = server.json("POST", CONFIG_MAPS, config_map("nobody", a="1"), User_Agent="")
    assert [entry["manager"] for entry in nobody["metadata"]["managedFields"]] == ["unknown"]


@pytest.mark.parametrize(
    ("method", "query", "form", "message"),
    [
        ("PATCH", "force=true", "application/merge-patch+json", "force: Forbidden: may not be specified for non-app"),
        ("PATCH", "", YAML, "fieldManager: Required value: is required for apply patch"),
        ("POST", "fieldManager=" + "x" * 129, "application/json", "fieldManager: Too long: may not be more than 128 b"),
        ("PUT", "fieldManager=a%07", "application/json", "invalid character U+0007 (at position 1)"),
    ],
    ids=["force", "no manager", "long", "unprintable"],
)  # fmt: skip
def test_options_are_checked(server: Server, method: str, query: str, form: str, message: str) -> None:
    path = CONFIG_MAPS if method == "POST" else f"{CONFIG_MAPS}/options"
    status, _, data = server.ask(method, f"{path}?{query}", config_map("options"), Content_Type=form)
    assert status == 422
    assert message in json.loads(data)["message"]


def test_keys_given_twice_are_told(server: Server) -> None:
    path = f"{CONFIG_MAPS}/twice"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\ndata:\n  a: x\n  a: y\n"
    complaint = 'yaml: unmarshal errors:\n  line 7: key "a" already set in map'
    strict = apply(server, path, body, "fieldManager=m&fieldValidation=Strict")
    assert strict["message"] == f"error strict decoding YAML: error converting YAML to JSON: {complaint}"
    _, headers, data = server.ask("PATCH", f"{path}?fieldManager=m", body, Content_Type=YAML)
    assert json.loads(data)["data"] == {"a": "y"}
    assert headers["Warning"] == '299 - "line 7: key \\"a\\" already set in map"'
    _, headers, _ = server.ask(
        "PATCH", f"{path}?fieldManager=m&fieldValidation=Ignore", body, Content_Type=YAML
    )
    assert "Warning" not in headers


def test_yaml_is_read_as_go_reads_it(server: Server) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: go}\ndata:\n  1: 2020-01-01\n  'on': 'yes'\n"
    assert apply(server, f"{CONFIG_MAPS}/go", body)["data"] == {"1": "2020-01-01", "on": "yes"}
    for broken, message in (
        (b"[broken", "yaml: line 1: did not find expected ',' or ']'"),
        (b"a: b\n c: d\n", "yaml: line 2: mapping values are not allowed in this context"),
        (b"- a", "error unmarshaling JSON: json: cannot unmarshal array into Go value"),
    ):
        assert message in apply(server, f"{CONFIG_MAPS}/go", broken)["message"]


def test_a_configuration_nested_too_deep_is_refused(server: Server) -> None:
    for body in (b"a: " * 1 + b"[" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000):
        refused = apply(server, f"{CONFIG_MAPS}/deep", body)
        assert refused["code"] == 400


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"a: !!timestamp x", 400, "error decoding YAML: error converting YAML to JSON: yaml: "),
        (b"a: .nan", 400, "json: unsupported value: nan"),
        (b"a: !!set {x}", 400, "json: unsupported type: set"),
        (b"a: &a [*a]", 413, "more than 100000 values in one object"),
    ],
    ids=["no time", "no number", "a set", "an alias of itself"],
)
def test_a_configuration_that_json_cannot_hold_is_refused(
    server: Server, body: bytes, code: int, message: str
) -> None:
    refused = apply(server, f"{CONFIG_MAPS}/odd", body)
    assert (refused["code"], message in refused["message"]) == (code, True), refused


def test_a_large_configuration_is_read_beside_the_loop(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parser is slow: others are served meanwhile."""
    threads: list[int] = []

    def load(data: bytes) -> yaml.Loaded:
        threads.append(get_ident())
        return loaded(data)

    loaded = yaml.load
    monkeypatch.setattr(yaml, "load", load)
    for size in (1, 1 << 17):
        apply(server, f"{CONFIG_MAPS}/wide", config_map("wide", a="x" * size))
    assert threads[0] == get_ident() != threads[1]


def test_json_is_read_as_json_and_its_repeated_keys_are_told(server: Server) -> None:
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"as-json"},"data":{"a":"1","a":"2"}}'
    _, headers, _ = server.ask("PATCH", f"{CONFIG_MAPS}/as-json?fieldManager=m", body, Content_Type=YAML)
    assert headers["Warning"] == '299 - "line 1: key \\"a\\" already set in map"'


def test_cbor_is_taken_with_its_gate(server: Server, tmp_path: Path) -> None:
    body = cbor.dump(config_map("cbor", a="1"))
    made = apply(server, f"{CONFIG_MAPS}/cbor", body, form="application/apply-patch+cbor")
    assert owners(made) == {"m v1": {"f:data": {"f:a": {}}}}
    with running(tmp_path) as other:
        refused = apply(other, f"{CONFIG_MAPS}/cbor", body, form="application/apply-patch+cbor")
    assert refused["code"] == 415


def test_who_loses_the_race_to_create_applies_to_what_the_other_made(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, creating = f"{CONFIG_MAPS}/raced", MemoryStorage.create

    async def race(storage: MemoryStorage, key: str, value: bytes, *, ttl: int = 0) -> int:
        if key.endswith("/raced"):
            monkeypatch.undo()
            for mine, other in ((b'{"a":"1"}', b'{"b":"2"}'), (b"f:a", b"f:b"), (b'"m"', b'"rival"')):
                value = value.replace(mine, other)
            await creating(storage, key, value, ttl=ttl)
        return await creating(storage, key, value, ttl=ttl)

    monkeypatch.setattr(MemoryStorage, "create", race)
    found = apply(server, path, config_map("raced", a="1"))
    assert found["data"] == {"a": "1", "b": "2"}
    assert owners(found) == {"rival v1": {"f:data": {"f:b": {}}}, "m v1": {"f:data": {"f:a": {}}}}


def test_an_apply_that_expects_a_version_gets_a_conflict(server: Server) -> None:
    path = f"{CONFIG_MAPS}/versioned"
    version = apply(server, path, config_map("versioned", a="1"))["metadata"]["resourceVersion"]
    wanted = config_map("versioned", a="2")
    wanted["metadata"]["resourceVersion"] = version
    assert apply(server, path, wanted)["data"] == {"a": "2"}
    assert "object has been modified" in apply(server, path, {**wanted, "data": {"a": "3"}})["message"]


def test_an_apply_that_expects_an_object_does_not_make_one(server: Server) -> None:
    wanted = config_map("missing")
    wanted["metadata"]["uid"] = "u"
    refused = apply(server, f"{CONFIG_MAPS}/missing", wanted)
    assert refused["code"] == 409
    assert "uid mismatch: the provided object specified uid u, and no existing object" in refused["message"]


def test_several_conflicts_are_listed_by_manager(server: Server) -> None:
    path = f"{CONFIG_MAPS}/several"
    server.json("POST", f"{CONFIG_MAPS}?fieldManager=w", config_map("several", a="1", b="1"))
    refused = apply(server, path, config_map("several", a="2", b="2"))
    assert refused["message"] == (
        'Apply failed with 2 conflicts: conflicts with "w" using v1:\n- .data.a\n- .data.b'
    )
    assert [cause["field"] for cause in refused["details"]["causes"]] == [".data.a", ".data.b"]


def test_owners_stay_in_the_version_they_were_recorded_in(server: Server) -> None:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    spec = {"maxReplicas": 5, "minReplicas": 1, "scaleTargetRef": target}
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}
    v1 = {**hpa, "apiVersion": "autoscaling/v1", "spec": {**spec, "targetCPUUtilizationPercentage": 50}}
    server.json("POST", HPA.format("v1") + "?fieldManager=old", v1)
    path = HPA.format("v2") + "/h"
    server.json(
        "PATCH",
        f"{path}?fieldManager=new",
        {"spec": {"maxReplicas": 9}},
        Content_Type="application/merge-patch+json",
    )
    found = owners(server.json("GET", path))
    assert "f:maxReplicas" not in found["old autoscaling/v1"]["f:spec"]
    assert found["new autoscaling/v2"] == {"f:spec": {"f:maxReplicas": {}}}
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
        }
    ]
    v2 = {**hpa, "apiVersion": "autoscaling/v2", "spec": {**spec, "maxReplicas": 9, "metrics": metrics}}
    refused = apply(server, path, v2)
    assert '"old" using autoscaling/v1: .spec.targetCPUUtilizationPercentage' in refused["message"]
    forced = apply(server, path, v2, "fieldManager=m&force=true")
    assert "f:targetCPUUtilizationPercentage" not in owners(forced)["old autoscaling/v1"]["f:spec"]
    gone = apply(server, HPA.format("v1") + "/h", {**v1, "spec": spec | {"maxReplicas": 9}})
    assert "m autoscaling/v1" in owners(gone)
    assert gone["spec"]["targetCPUUtilizationPercentage"] == 80, (
        "the default: no longer what was applied in v2"
    )


def test_applying_a_scale(server: Server) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/scaled"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"}, "spec": spec}
    assert apply(server, path, deployment)["spec"]["replicas"] == 1
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "scaled"},
        "spec": {"replicas": 3},
    }
    refused = apply(server, f"{path}/scale", scale, "fieldManager=s")
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "m": .spec.replicas'
    assert apply(server, f"{path}/scale", scale, "fieldManager=s&force=true")["spec"] == {"replicas": 3}
    found = server.json("GET", path)
    assert owners(found)["s apps/v1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners(found)["m apps/v1"]["f:spec"]
    del scale["spec"]
    apply(server, f"{path}/scale", scale, "fieldManager=s")
    assert "s apps/v1" not in owners(server.json("GET", path))


def test_binding_a_pod_changes_no_owner(server: Server) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "automountServiceAccountToken": False,
            "serviceAccountName": "default",
        },
    }
    status, _, data = server.ask("POST", pods, pod, Content_Type="application/json")
    assert status in (201, 403), data
    if status == 403:  # no service account was made yet: a controller's work
        account = {"metadata": {"name": "default"}}
        server.json("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        data = json.dumps(server.json("POST", pods, pod)).encode()
    before = owners(json.loads(data))
    assert "f:serviceAccountName" in before[next(iter(before))]["f:spec"]
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    server.json("POST", f"{pods}/p/binding", target)
    assert owners(server.json("GET", f"{pods}/p")) == before


def test_creating_by_apply_needs_the_right_to_create(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('patcher-token,patcher,1,""\nadmin,admin,2,"system:masters"\n')
    modes = ("RBAC",)
    with running(tmp_path, token_auth_file=tokens, authorization_mode=modes) as server:
        admin = {"Authorization": "Bearer admin", "Content_Type": "application/json"}
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]
        role = {"metadata": {"name": "patch"}, "rules": rules}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "patch"}
        subject = {"kind": "User", "name": "patcher", "apiGroup": "rbac.authorization.k8s.io"}
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        server.json("POST", f"{rbac}/clusterroles", role, **admin)
        binding = {"metadata": {"name": "patch"}, "roleRef": reference, "subjects": [subject]}
        server.json("POST", f"{rbac}/clusterrolebindings", binding, **admin)
        server.json("POST", CONFIG_MAPS, config_map("there", a="1"), **admin)
        user = {"Authorization": "Bearer patcher-token", "Content_Type": YAML}

        def ask(name: str) -> int:
            query = "?fieldManager=m&force=true"
            return server.ask("PATCH", f"{CONFIG_MAPS}/{name}{query}", config_map(name, a="2"), **user)[0]

        assert ask("there") == 200
        assert ask("new") == 403
