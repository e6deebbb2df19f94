"""Small requests that would grow large or run long: each is refused, and the loop never stands still.

That it does not is looked at in the end, over all attacks (`conftest`). Bodies that are merely malformed are in
`tests/unit/apiserver/http/test_hostile_input.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.attacks.stage import NS, Stage
from tests.unit.apiserver.crd.definitions import definition, version

CONFIG_MAPS = f"{NS}/default/configmaps"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
YAML = "application/yaml"


def laughs(levels: int, each: int = 10) -> bytes:
    """YAML whose aliases stand for `each` to the power of `levels` values."""
    lines = ["a0: &a0 [x]"]
    for level in range(1, levels + 1):
        names = ", ".join([f"*a{level - 1}"] * each)
        lines.append(f"a{level}: &a{level} [{names}]")
    return "\n".join(lines).encode()


MERGES = b"\n".join(b"  k%d: {<<: [%s]}" % (n, b", ".join([b"*x"] * 300)) for n in range(300))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (laughs(9), 413),
        (laughs(30, 2), 413),
        (laughs(1, 100_001), 413),
        (b"a: &a {b: *a}", 413),
        (b"metadata: &x {name: merged}\ndata:\n" + MERGES, 400),
        (b"{" * 100_000, 400),
        (b"- " * 50_000, 400),
        (b"? " * 5000, 400),
    ],
)
def test_yaml(stage: Stage, body: bytes, code: int) -> None:
    assert stage.ask("POST", CONFIG_MAPS, body, Content_Type=YAML).code == code


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


DOUBLING = [{"op": "copy", "from": "/data", "path": f"/data/x{n}"} for n in range(60)]


@pytest.mark.parametrize(
    ("media_type", "body", "code"),
    [
        ("application/json-patch+json", DOUBLING, 422),
        ("application/json-patch+json", [{"op": "add", "path": "/data/a", "value": "x"}] * 10_000, 200),
        ("application/json-patch+json", [{"op": "add", "path": "/data/a", "value": "x"}] * 10_001, 413),
        ("application/json-patch+json", [{"op": "add", "path": "/data/a", "value": nested(120)}], 422),
        ("application/json-patch+json", [{"op": "test", "path": "/a" * 100_000, "value": 1}], 422),
        ("application/merge-patch+json", {"metadata": {"annotations": nested(120)}}, 422),
        ("application/strategic-merge-patch+json", {"metadata": {"annotations": nested(120)}}, 422),
        ("application/merge-patch+json", {"metadata": {"annotations": {"a": "x" * 300_000}}}, 422),
    ],
)
def test_patches(stage: Stage, media_type: str, body: Any, code: int) -> None:
    name = "patched"
    if stage.ask("GET", f"{CONFIG_MAPS}/{name}").code == 404:
        stage.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": {"a": "x"}})
    before = stage.ask("GET", f"{CONFIG_MAPS}/{name}").body
    answer = stage.ask("PATCH", f"{CONFIG_MAPS}/{name}", body, Content_Type=media_type)
    assert answer.code == code, answer.text[:500]
    assert stage.ask("GET", f"{CONFIG_MAPS}/{name}").body["data"] == before["data"]


def deep_schema(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def of_properties(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "code", "text"),
    [
        (deep_schema(65), 400, "max depth"),
        (deep_schema(200), 400, "max depth"),
        (of_properties(a={"type": "string", "pattern": "(" * 1000}), 422, "pattern"),
        (of_properties(a={"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"}), 422, "pattern"),
        (of_properties(a={"$ref": "#"}), 422, "$ref"),
        (of_properties(**{f"p{n}": {"type": "string"} for n in range(60_000)}), 413, ""),
        (of_properties(**{f"p{n}": {"type": "thing"} for n in range(8_000)}), 422, "Unsupported value"),
        (of_properties(a={"type": "string", "x-kubernetes-validations": [{"rule": "(" * 5000}]}), 422, ""),
        (
            of_properties(a={"type": "string", "x-kubernetes-validations": [{"rule": "1" + "+1" * 5000}]}),
            422,
            "",
        ),
    ],
)
def test_schemas(stage: Stage, schema: dict[str, Any], code: int, text: str) -> None:
    answer = stage.ask("POST", DEFINITIONS, definition(version(schema=schema), plural="bombs", kind="Bomb"))
    assert (answer.code, text in answer.text) == (code, True), answer.text[:500]


@pytest.fixture(scope="module")
def slow(stage: Stage) -> str:
    """A kind whose rules take long on some objects; the path of its objects."""
    each = "self.items.all(a, self.items.all(b, self.items.all(c, a + b + c >= 0)))"
    numbers = {"type": "array", "items": {"type": "integer"}, "maxItems": 100}
    rules = [{"rule": each}]
    schema = of_properties(
        spec={**of_properties(items=numbers), "x-kubernetes-validations": rules},
        text={"type": "string", "pattern": "^(a+)+$"},
    )
    stage.create(DEFINITIONS, definition(version(schema=schema), plural="slows", kind="Slow"))
    path = "/apis/example.com/v1/namespaces/default/slows"
    while stage.ask("GET", path).code != 200:  # each look lets the server work on it
        pass
    return path


def slow_object(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Slow", "metadata": {"generateName": "s-"}, **more}


def test_rules_that_never_end(stage: Stage, slow: str) -> None:
    assert stage.ask("POST", slow, slow_object(spec={"items": [1, 2, 3]})).code == 201
    answer = stage.ask("POST", slow, slow_object(spec={"items": list(range(100))}))
    assert answer.code == 422
    assert "exceeds" in answer.message or "exceeded" in answer.message


def test_patterns_that_backtrack(stage: Stage, slow: str) -> None:
    answer = stage.ask("POST", slow, slow_object(text="a" * 50_000 + "!"))
    assert answer.code == 422


def test_policies_that_never_end(stage: Stage) -> None:
    """Writes of what they are about are refused; all others go on."""
    numbers = str([1] * 20)
    text = "d > 0"
    for name in "abcdef":
        text = f"{numbers}.all({name}, {text.replace('d', name)})"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["limitranges"]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": text}],
    }
    stage.create(POLICIES, {"metadata": {"name": "endless"}, "spec": spec})
    binding = {"policyName": "endless", "validationActions": ["Deny"]}
    stage.create(BINDINGS, {"metadata": {"name": "endless"}, "spec": binding})
    ranges = f"{NS}/default/limitranges"
    codes = set()
    for number in range(2):
        answer = stage.ask("POST", ranges, {"metadata": {"name": f"r{number}"}, "spec": {"limits": []}})
        codes.add(answer.code)
    assert codes <= {201, 422}
    assert answer.code == 422, answer
    stage.create(CONFIG_MAPS, {"metadata": {"name": "meanwhile"}})


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"name":"d"},"data":' + b"[" * 200_000 + b"}",
        b'{"metadata":' * 20_000,
        json.dumps({"metadata": {"name": "d"}, "data": nested(500)}).encode(),
        b'{"metadata":{"name":"d","managedFields":'
        + b'[{"fieldsV1":'
        + b'{"f:a":' * 5000
        + b"}" * 5000
        + b"}]}}",
        b'"' + b"\\u0000" * 100_000 + b'"',
    ],
)
def test_deep_json(stage: Stage, body: bytes) -> None:
    assert stage.ask("POST", CONFIG_MAPS, body).code == 400


@pytest.mark.parametrize(
    "query",
    ["labelSelector=" + ",".join(f"a{n}=b" for n in range(3000)), "labelSelector=" + "!" * 30_000,
     "labelSelector=a+in+(" + "b," * 15_000 + ")", "fieldSelector=" + ",".join(["metadata.name=a"] * 1500)],
)  # fmt: skip
def test_selectors_without_end(stage: Stage, query: str) -> None:
    assert stage.ask("GET", f"{CONFIG_MAPS}?{query}").code in (200, 400)
