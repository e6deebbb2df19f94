"""Which schema takes which request, and how the seats are shared."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.user import User, service_account_user
from apiserver.flowcontrol import objects
from apiserver.flowcontrol.matching import first_match, in_order
from apiserver.flowcontrol.queueset import Queuing
from apiserver.http import request_info
from apiserver.http.flow_bootstrap import bundled

EVERYBODY = "system:authenticated"
TABLE = objects.table(*bundled(), bundled(), 600)
NODE = User("system:node:w1", ("system:nodes", EVERYBODY))
SCHEDULER = User("system:kube-scheduler", (EVERYBODY,))
ANN = User("ann", (EVERYBODY,))
LEASES = "/apis/coordination.k8s.io/v1/namespaces"


@pytest.mark.parametrize(
    ("method", "path", "user", "schema", "flow"),
    [
        ("GET", "/api/v1/pods", User("admin", ("system:masters",)), "exempt", ""),
        ("GET", "/readyz", ANN, "probes", ""),
        ("GET", "/readyz/etcd", ANN, "probes", ""),
        ("GET", "/metrics", ANN, "global-default", "ann"),
        ("PUT", f"{LEASES}/kube-system/leases/kube-scheduler", SCHEDULER, "system-leader-election", SCHEDULER.name),
        ("GET", "/api/v1/namespaces/x/pods", SCHEDULER, "kube-scheduler", "x"),
        ("GET", "/api/v1/pods", SCHEDULER, "kube-scheduler", ""),
        ("PUT", f"{LEASES}/kube-node-lease/leases/w1", NODE, "system-node-high", NODE.name),
        ("PATCH", "/api/v1/nodes/w1/status", NODE, "system-node-high", NODE.name),
        ("GET", "/api/v1/pods", NODE, "system-nodes", NODE.name),
        ("GET", "/api/v1/pods", service_account_user("kube-system", "dns", ""), "kube-system-service-accounts", ""),
        ("GET", "/api/v1/pods", service_account_user("x", "a", ""), "service-accounts", "system:serviceaccount:x:a"),
        ("GET", "/api/v1/pods", ANN, "global-default", "ann"),
        ("GET", "/api/v1/pods", User("system:anonymous", ("system:unauthenticated",)), "global-default",
         "system:anonymous"),
    ],
)  # fmt: skip
def test_the_bundled_schemas(method: str, path: str, user: User, schema: str, flow: str) -> None:
    request = request_info.parse(method, path, {})
    found = first_match(TABLE.schemas, request, user)
    assert found is not None
    assert (found.name, found.flow_of(request, user)) == (schema, flow)


def schema(name: str, precedence: int, level: str = "catch-all", **rule: Any) -> dict[str, Any]:
    subjects = rule.pop("subjects", [{"kind": "Group", "group": {"name": "*"}}])
    spec = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "rules": [{"subjects": subjects, **rule}],
    }
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec}


def every(**but: Any) -> list[dict[str, Any]]:
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    return [{**rule, **but}]


@pytest.mark.parametrize(
    ("rule", "path", "taken"),
    [
        (every(resources=["pods"]), "/api/v1/namespaces/x/pods/p/status", False),
        (every(resources=["pods/status"]), "/api/v1/namespaces/x/pods/p/status", True),
        (every(clusterScope=False), "/api/v1/pods", False),
        (every(clusterScope=False), "/api/v1/namespaces/x/pods", True),
        (every(namespaces=["y"]), "/api/v1/namespaces/x/pods", False),
        (every(namespaces=[]), "/api/v1/pods", True),
        (every(verbs=["create"]), "/api/v1/pods", False),
        (every(apiGroups=["apps"]), "/api/v1/pods", False),
        (every(apiGroups=[""]), "/api/v1/pods", True),
    ],
)
def test_resource_rules(rule: list[dict[str, Any]], path: str, taken: bool) -> None:
    found = objects.read_schema(schema("s", 5, resourceRules=rule))
    assert (first_match([found], request_info.parse("GET", path, {}), ANN) is not None) == taken


@pytest.mark.parametrize(
    ("subject", "taken"),
    [
        ({"kind": "User", "user": {"name": "ann"}}, True),
        ({"kind": "User", "user": {"name": "*"}}, True),
        ({"kind": "User", "user": {"name": "bob"}}, False),
        ({"kind": "User"}, False),
        ({"kind": "Group", "group": {"name": EVERYBODY}}, True),
        ({"kind": "Group", "group": {"name": "other"}}, False),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "x", "name": "*"}}, False),
        ({"kind": "Robot"}, False),
    ],
)
def test_subjects(subject: dict[str, Any], taken: bool) -> None:
    found = objects.read_schema(schema("s", 5, resourceRules=every(), subjects=[subject]))
    assert (first_match([found], request_info.parse("GET", "/api/v1/pods", {}), ANN) is not None) == taken


def test_precedence_then_name() -> None:
    found = in_order(objects.read_schema(s) for s in (schema("b", 7), schema("c", 3), schema("a", 7)))
    assert [s.name for s in found] == ["c", "a", "b"]


def test_the_mandatory_objects_are_there_whatever_is_stored() -> None:
    table = objects.table([], [], bundled(), 600)
    assert {s.name for s in table.schemas} == set(table.levels) == {"exempt", "catch-all"}
    stored = objects.table([schema("lost", 1, "gone")], [], bundled(), 600)
    assert stored.dangling == {"lost"}
    assert "lost" not in {s.name for s in stored.schemas}


def test_seats_are_shared_and_rounded_up() -> None:
    seats = {name: level.seats for name, level in TABLE.levels.items()}
    assert seats == {
        "exempt": 0, "catch-all": 13, "global-default": 49, "leader-election": 25, "node-high": 98,
        "system": 74, "workload-high": 98, "workload-low": 245,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "queuing", "shares"),
    [
        ({"type": "Exempt"}, Queuing(exempt=True), 0),
        ({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}, Queuing(), 30),
        ({"type": "Limited", "limited": {"nominalConcurrencyShares": 0}}, Queuing(), 0),
        ({"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}}, Queuing(64, 8, 50), 30),
        ({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 2}}}},
         Queuing(2, 2, 50), 30),
    ],
)  # fmt: skip
def test_levels(spec: dict[str, Any], queuing: Queuing, shares: int) -> None:
    level = objects.read_level({"metadata": {"name": "l"}, "spec": spec})
    assert (level.queuing, level.shares) == (queuing, shares)
