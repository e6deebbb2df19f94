"""ValidatingAdmissionPolicy on one server over a store in memory."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission.interface import Attributes
from apiserver.admission.policies.policy import Outcome, Policy
from apiserver.admission.running import authorizer_of, in_time
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.auth import rbac
from apiserver.auth.user import User
from apiserver.cel.evaluator import Check
from tests.support.served import CONFIG_MAPS, Server, config_map, running

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("certs")) as found:
        yield found


class Configured:
    """One policy with one binding that means configmaps with the label ``case: <name>``."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def policy(self, *, rule: dict[str, Any] = RULE, **spec: Any) -> None:
        match = {"resourceRules": [rule], "objectSelector": {"matchLabels": {"case": self.name}}}
        body = {"metadata": {"name": self.name}, "spec": {"matchConstraints": match, **spec}}
        self.server.json("POST", POLICIES, {**body, "kind": "ValidatingAdmissionPolicy", "apiVersion": _V1})

    def binding(self, *actions: str, name: str = "", **spec: Any) -> None:
        spec = {"policyName": self.name, "validationActions": actions or ["Deny"], **spec}
        body = {"metadata": {"name": name or self.name}, "spec": spec}
        kind = {"kind": "ValidatingAdmissionPolicyBinding", "apiVersion": _V1}
        self.server.json("POST", BINDINGS, {**body, **kind})

    def create(self, name: str, **metadata: Any) -> tuple[int, str, list[str]]:
        """(code, message of a refusal, warnings)"""
        labels = {"case": self.name, **metadata.pop("labels", {})}
        obj = config_map(f"{self.name}-{name}", labels=labels, **metadata)
        status, headers, data = self.server.ask("POST", CONFIG_MAPS, obj, Content_Type="application/json")
        return status, json.loads(data).get("message", ""), list(headers.getall("Warning", []))  # type: ignore[attr-defined]


_V1 = "admissionregistration.k8s.io/v1"


def test_a_variable_a_condition_and_a_message_of_its_own(server: Server) -> None:
    case = Configured(server, "variables")
    case.policy(
        matchConditions=[{"name": "not-me", "expression": "object.metadata.name != 'variables-free'"}],
        variables=[
            {"name": "size", "expression": "size(object.data)"},
            {"name": "twice", "expression": "variables.size * 2"},
        ],
        validations=[
            {
                "expression": "variables.twice > 100",
                "messageExpression": "'only ' + string(variables.twice) + ' in ' + namespaceObject.metadata.name",
                "reason": "RequestEntityTooLarge",
            }
        ],
    )
    assert case.create("unbound")[0] == 201
    case.binding()
    status, message, _ = case.create("a")
    assert status == 413
    assert message == (
        "configmaps \"variables-a\" is forbidden: ValidatingAdmissionPolicy 'variables' with binding "
        "'variables' denied request: only 2 in default"
    )
    assert case.create("free")[0] == 201


def test_warnings_do_not_refuse(server: Server) -> None:
    case = Configured(server, "warned")
    case.policy(validations=[{"expression": "false"}])
    case.binding("Warn", "Audit")
    status, _, warnings = case.create("a")
    assert status == 201
    assert any(
        "Validation failed for ValidatingAdmissionPolicy 'warned' with binding 'warned': "
        "failed expression: false" in text
        for text in warnings
    )


@pytest.mark.parametrize(("policy", "expected"), [("Fail", 422), ("Ignore", 201)])
def test_failures_follow_the_failure_policy(server: Server, policy: str, expected: int) -> None:
    case = Configured(server, f"failing-{policy.lower()}")
    case.policy(failurePolicy=policy, validations=[{"expression": "object.spec.none == 1"}])
    case.binding()
    status, message, _ = case.create("a")
    assert status == expected
    if policy == "Fail":
        assert message.endswith("expression 'object.spec.none == 1' resulted in error: no such key: spec")


def test_params_of_a_native_kind(server: Server) -> None:
    case = Configured(server, "params")
    case.policy(
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        validations=[{"expression": "object.metadata.name != params.data.forbidden", "message": "that name"}],
    )
    reference = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    case.binding(paramRef=reference)
    status, message, _ = case.create("a")
    assert status == 422
    assert message.endswith(
        "denied request: failed to configure binding: no params found for policy binding with `Deny` "
        "parameterNotFoundAction"
    )
    server.json("POST", CONFIG_MAPS, {**config_map("limits"), "data": {"forbidden": "params-b"}})
    assert case.create("a")[0] == 201
    assert case.create("b")[1].endswith("denied request: that name")


def test_params_by_selector_each_judge(server: Server) -> None:
    case = Configured(server, "selected")
    case.policy(
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        validations=[{"expression": "object.metadata.name != 'selected-' + params.metadata.name"}],
    )
    selector = {"matchLabels": {"param": "yes"}}
    case.binding(paramRef={"selector": selector, "parameterNotFoundAction": "Allow"})
    assert case.create("p2")[0] == 201
    for name in ("p1", "p2", "p3"):
        server.json("POST", CONFIG_MAPS, config_map(name, labels={"param": "yes"}))
    assert case.create("p3")[0] == 422
    assert case.create("p4")[0] == 201


SCALERS = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"


def autoscaler(name: str, percent: int) -> dict[str, Any]:
    """In autoscaling/v1; stored as autoscaling/v2."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": percent}
    kind = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    return {**kind, "metadata": {"name": name, "labels": {"case": "versions"}}, "spec": spec}


def test_params_come_in_the_version_of_their_kind(server: Server) -> None:
    case = Configured(server, "old-params")
    case.policy(
        paramKind={"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"},
        validations=[{"expression": "params.spec.targetCPUUtilizationPercentage == 1"}],
    )
    case.binding(paramRef={"name": "param", "parameterNotFoundAction": "Deny"})
    server.json("POST", SCALERS, autoscaler("param", 1))
    assert case.create("a")[0] == 201


def test_an_equivalent_resource_is_judged_in_the_version_that_the_policy_names(server: Server) -> None:
    case = Configured(server, "versions")
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "operations": ["*"]}
    case.policy(
        rule={**rule, "resources": ["horizontalpodautoscalers"]},
        validations=[
            {
                "expression": "object.spec.metrics[0].resource.target.averageUtilization < 50",
                "messageExpression": "request.kind.version + ' of ' + request.requestKind.version",
            }
        ],
    )
    case.binding()
    assert server.ask("POST", SCALERS, autoscaler("low", 49), Content_Type="application/json")[0] == 201
    status, _, data = server.ask("POST", SCALERS, autoscaler("high", 50), Content_Type="application/json")
    assert (status, json.loads(data)["message"].rpartition(": ")[2]) == (422, "v2 of v1")


def test_a_kind_of_params_that_is_not_there(server: Server) -> None:
    case = Configured(server, "unknown-kind")
    case.policy(
        paramKind={"apiVersion": "example.com/v1", "kind": "Limit"}, validations=[{"expression": "true"}]
    )
    case.binding(paramRef={"name": "a", "parameterNotFoundAction": "Allow"})
    assert case.create("a")[1].endswith(
        "ValidatingAdmissionPolicy 'unknown-kind' denied request: failed to configure policy: failed to find "
        "resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
    )


def test_a_change_of_a_policy_holds_for_the_next_write_and_so_does_its_deletion(server: Server) -> None:
    case = Configured(server, "changed")
    case.policy(validations=[{"expression": "false", "message": "first"}])
    case.binding()
    assert case.create("a")[1].endswith("first")
    patch = {"spec": {"validations": [{"expression": "false", "message": "second"}]}}
    path = f"{POLICIES}/changed"
    server.json("PATCH", path, patch, Content_Type="application/merge-patch+json")
    assert case.create("a")[1].endswith("second")
    server.json("DELETE", path)
    assert case.create("a")[0] == 201


def test_deletions_are_judged_by_the_old_object(server: Server) -> None:
    case = Configured(server, "kept")
    deleting = {**RULE, "operations": ["DELETE"]}
    case.policy(
        rule=deleting,
        validations=[
            {"expression": "object == null && !has(oldObject.metadata.annotations)", "message": "kept"}
        ],
    )
    case.binding()
    assert case.create("free")[0] == 201
    assert case.create("held", annotations={"a": "b"})[0] == 201
    assert server.ask("DELETE", f"{CONFIG_MAPS}/kept-free")[0] == 200
    status, _, data = server.ask("DELETE", f"{CONFIG_MAPS}/kept-held")
    assert status == 422
    assert b"denied request: kept" in data


def test_audit_annotations_and_failures_reach_the_audit_log(tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    with running(tmp_path / "certs", audit_policy_file=policy, audit_log_path=str(log)) as server:
        case = Configured(server, "noted")
        case.policy(
            validations=[{"expression": "false", "message": "never"}],
            auditAnnotations=[
                {"key": "who", "valueExpression": "'by ' + request.userInfo.username"},
                {"key": "nothing", "valueExpression": "null"},
            ],
        )
        case.binding("Audit")
        assert case.create("a")[0] == 201
    events = [json.loads(line) for line in log.read_text().splitlines()]
    notes: dict[str, str] = {}
    for event in events:
        notes |= event.get("annotations") or {}
    assert notes["noted/who"].startswith("by system:")
    assert "noted/nothing" not in notes
    failure = json.loads(notes["validation.policy.admission.k8s.io/validation_failure"])
    expected = {"message": "never", "policy": "noted", "binding": "noted", "expressionIndex": 0}
    assert failure == [{**expected, "validationActions": ["Audit"]}]


def _policy(**spec: Any) -> Policy:
    return Policy({"metadata": {"name": "p"}, "spec": spec})


class Source:
    """Knows that `admin` may do everything; ``slow``: only after another round of the event loop."""

    def __init__(self, *, slow: bool) -> None:
        self.slow = slow
        self.asked: list[rbac.Attributes] = []

    async def decide(self, asked: rbac.Attributes) -> tuple[bool, str]:
        if self.slow:
            await asyncio.sleep(0)
        self.asked.append(asked)
        return asked.user.name == "admin", "because"

    async def role_based(self, user: User, namespace: str) -> list[rbac.Rule]:
        raise NotImplementedError

    async def role(self, kind: str, namespace: str, name: str) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        (
            "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d')"
            ".check('create').allowed()",
            ("admin", "create", "apps", "deployments", "scale", "n", "d", ""),
        ),
        (
            "authorizer.path('/healthz').check('get').reason() == 'because'",
            ("admin", "get", *[""] * 5, "/healthz"),
        ),
        (
            "!authorizer.serviceAccount('n', 'robot').group('').resource('pods').check('get').allowed()",
            ("system:serviceaccount:n:robot", "get", "", "pods", "", "", "", ""),
        ),
        (
            "authorizer.requestResource.check('approve').allowed()",
            ("admin", "approve", "", "configmaps", "", "default", "a", ""),
        ),
    ],
)
def test_the_authorizer_is_asked(slow: bool, expression: str, asked: tuple[str, ...]) -> None:
    policy, source = _policy(validations=[{"expression": expression}]), Source(slow=slow)
    gvr, gvk = GroupVersionResource("", "v1", "configmaps"), GroupVersionKind("", "v1", "ConfigMap")
    write = Attributes("CREATE", gvr, gvk, "default", "a", {}, None, User("admin"))

    async def run() -> Outcome:
        values = {"authorizer": authorizer_of(write, source)}
        return await in_time(lambda check: policy.decide(values, check))

    assert asyncio.run(run()) == Outcome()
    (found,) = source.asked
    fields = (
        found.verb,
        found.group,
        found.resource,
        found.subresource,
        found.namespace,
        found.name,
        found.path,
    )
    assert (found.user.name, *fields) == asked


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 + 1", "compilation error: must evaluate to bool"),
        ("params.a", "undeclared reference to 'params'"),
        ("authorizer.nobody() == ''", "undeclared reference to 'nobody'"),
        ("request.nothing == ''", "undefined field 'nothing'"),
        ("variables.later", "undefined field 'later'"),
    ],
)
def test_what_does_not_compile_fails_when_it_is_run(expression: str, words: str) -> None:
    outcome = _policy(validations=[{"expression": expression}]).decide({"object": {}, "request": {}})
    assert words in outcome.denials[0].message


def test_costs_are_bounded_over_all_validations() -> None:
    costly = "object.all(x, object.all(y, x == y || x != y))"
    policy = _policy(validations=[{"expression": costly}] * 40)
    outcome = policy.decide({"object": list(range(20))}, budget=10_000)
    assert [denial.message.partition(",")[0] for denial in outcome.denials] == [
        "validation failed due to running out of cost budget"
    ]


def test_what_takes_long_is_worked_out_beside_the_event_loop() -> None:
    policy = _policy(
        validations=[{"expression": "object.all(x, object.all(y, x == y))", "message": "differ"}]
    )
    short, long = policy.decide, list[str]()

    def evaluate(check: Check | None) -> Outcome:
        long.append(threading.current_thread().name)
        return short({"object": [1] * 200}, check)

    assert asyncio.run(in_time(evaluate)) == Outcome()
    assert long[0] == threading.main_thread().name != long[1]


@pytest.mark.parametrize(
    ("expressions", "fail", "expected"),
    [
        (["true", "object.a"], False, []),
        (["false", "object.a"], True, []),
        (["object.a == 1", "false"], True, []),
        (["object.a == 1"], True, ["expression 'object.a == 1' resulted in error: no such key: a"]),
        (["true"], True, ["failed expression: false"]),
    ],
)
def test_a_condition_that_is_false_decides(expressions: list[str], fail: bool, expected: list[str]) -> None:
    policy = _policy(
        failurePolicy="Fail" if fail else "Ignore",
        matchConditions=[{"name": str(at), "expression": text} for at, text in enumerate(expressions)],
        validations=[{"expression": "false"}],
    )
    assert [denial.message for denial in policy.decide({"object": {}}).denials] == expected


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"validations": [{"expression": "1"}]}, "spec.validations[0].expression", "must evaluate to bool"),
        (
            {"validations": [{"expression": "nothing == 1"}]},
            "spec.validations[0].expression",
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "authorizer"}]},
            "spec.validations[0].messageExpression",
            "undeclared reference to 'authorizer'",
        ),
        (
            {
                "matchConditions": [{"name": "a", "expression": "variables.a"}],
                "validations": [{"expression": "true"}],
            },
            "spec.matchConditions[0].expression",
            "undeclared reference to 'variables'",
        ),
        (
            {
                "variables": [{"name": "a", "expression": "variables.b"}],
                "validations": [{"expression": "true"}],
            },
            "spec.variables[0].expression",
            "undefined field 'b'",
        ),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "1"}]},
            "spec.auditAnnotations[0].valueExpression",
            "must evaluate to one of [string null]",
        ),
    ],
)
def test_what_does_not_compile_is_not_stored(
    server: Server, spec: dict[str, Any], field: str, words: str
) -> None:
    match = {"resourceRules": [RULE]}
    body = {"metadata": {"name": "broken"}, "spec": {"matchConstraints": match, **spec}}
    kind = {"kind": "ValidatingAdmissionPolicy", "apiVersion": _V1}
    status, _, data = server.ask("POST", POLICIES, {**kind, **body}, Content_Type="application/json")
    (cause,) = json.loads(data)["details"]["causes"]
    assert (status, cause["field"]) == (422, field)
    assert words in cause["message"]
