"""Which pods go first, what a ReplicaSet reports, which objects it claims, and how flags are read."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.labels import selector_from_set
from components.controllers import flags
from components.controllers.common.claims import classify
from components.controllers.common.ranking import order_for_deletion
from components.controllers.endpoints.plan import plan as plan_endpoints
from components.controllers.endpointslice.plan import plan as plan_slices
from components.controllers.options import ControllerOptions
from components.controllers.replicaset.plan import Failure, plan_replicas, plan_status, requeue_after

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def pod(name: str, **changes: Any) -> dict[str, Any]:
    ready_at = changes.get("ready", "2026-01-01T00:00:00Z")
    ready = {"type": "Ready", "status": "True" if ready_at else "False", "lastTransitionTime": ready_at}
    restarts = [{"restartCount": changes.get("restarts", 0)}]
    annotations = {"controller.kubernetes.io/pod-deletion-cost": str(changes.get("cost", 0))}
    labels = changes.get("labels", {"app": "web"})
    created = changes.get("created", "2026-01-01T00:00:00Z")
    metadata = {"name": name, "uid": name, "labels": labels, "annotations": annotations}
    return {
        "metadata": {**metadata, "creationTimestamp": created, **changes.get("metadata", {})},
        "spec": {"nodeName": changes.get("node", "n")},
        "status": {
            "phase": changes.get("phase", "Running"),
            "conditions": [ready],
            "containerStatuses": restarts,
            "podIP": changes.get("ip", "10.0.0.1"),
        },
    }


def test_the_order_of_deletion() -> None:
    """Each pod differs from the next in one point of the order."""
    ordered = [
        pod("unassigned", node="", phase="Pending", ready=None),
        pod("pending", node="a", phase="Pending", ready=None),
        pod("unready", node="a", ready=None),
        pod("cheap", node="a", cost=-1),
        pod("crowded-restarted", node="b", restarts=3),
        pod("crowded-young", node="b", created="2026-01-01T23:59:00Z"),
        pod("crowded", node="b"),
        pod("ready-lately", node="c", ready="2026-01-01T23:59:59Z"),
        pod("ready-long", node="c"),
    ]
    related = [p for p in ordered if p["spec"]["nodeName"] != "a"]
    shuffled = random.Random(3).sample(ordered, len(ordered))
    names = [p["metadata"]["name"] for p in order_for_deletion(shuffled, related, NOW)]
    assert names == [p["metadata"]["name"] for p in ordered]


def owner(replicas: int, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web", "v": "1"}}}
    return {
        "metadata": {"name": "rs", "uid": "rs", "generation": 2},
        "spec": {"replicas": replicas, "template": template, **spec},
    }


@pytest.mark.parametrize(
    ("wanted", "create", "delete"), [(5, 3, 0), (2, 0, 0), (0, 0, 2), (1, 0, 1), (1000, 500, 0)]
)
def test_the_number_of_pods(wanted: int, create: int, delete: int) -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    pods = [pod("a"), pod("b"), pod("done", phase="Failed"), pod("going", metadata=gone)]
    plan = plan_replicas(owner(wanted), pods, pods, NOW)
    assert (plan.create, len(plan.delete)) == (create, delete)


def test_status_counts_and_conditions() -> None:
    pods = [pod("a", labels={"app": "web", "v": "1"}), pod("b"), pod("c", ready="2026-01-01T23:59:55Z")]
    rs = owner(3, minReadySeconds=10)
    status = plan_status(rs, pods, Failure("FailedCreate", "no"), NOW, count_terminating=True)
    assert status is not None
    names = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    assert [status[name] for name in names] == [3, 1, 3, 2, 2]
    assert status["conditions"][0]["reason"] == "FailedCreate"
    assert requeue_after(rs, pods, NOW) == 5
    again = plan_status(
        rs | {"status": status}, pods, Failure("FailedCreate", "no"), NOW, count_terminating=True
    )
    assert again is None
    healed = plan_status(rs | {"status": status}, pods, None, NOW, count_terminating=True)
    assert healed is not None
    assert not healed.get("conditions")


def test_claims() -> None:
    def held(uid: str) -> dict[str, Any]:
        return {"ownerReferences": [{"uid": uid, "controller": True, "kind": "ReplicaSet"}]}

    pods = [
        pod("mine", metadata=held("rs")),
        pod("mislabelled", labels={}, metadata=held("rs")),
        pod("theirs", metadata=held("other")),
        pod("orphan"),
        pod("stranger", labels={}),
    ]
    claims = classify(owner(1), selector_from_set({"app": "web"}), pods)
    found = [[p["metadata"]["name"] for p in group] for group in (claims.keep, claims.adopt, claims.release)]
    assert found == [["mine"], ["orphan"], ["mislabelled"]]


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"name": "s", "namespace": "n", "uid": "s"},
        "spec": {"selector": {"app": "web"}, "ports": ports, "clusterIP": "10.96.0.1", **spec},
    }


def test_slices_hold_no_more_than_their_limit_and_change_as_little_as_possible() -> None:
    pods = [pod(f"p{i:03}", ip=f"10.0.0.{i + 1}") for i in range(250)]
    created = plan_slices(service(), pods, []).create
    assert [len(s["endpoints"]) for s in created] == [100, 100, 50]
    unchanged = plan_slices(service(), pods, created)
    assert (unchanged.create, unchanged.update, unchanged.delete) == ([], [], [])
    fewer = plan_slices(service(), pods[1:], created)
    assert (len(fewer.create), len(fewer.update), len(fewer.delete)) == (0, 1, 0)
    none = plan_slices(service(), [], created)
    assert len(none.delete) == 3
    assert [s["endpoints"] for s in none.create] == [[]]


def test_conditions_of_endpoints() -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    pods = [pod("ending", metadata=gone, ip="10.0.0.2"), pod("unready", ready=None)]
    (created,) = plan_slices(service(), pods, []).create
    conditions = [tuple(e["conditions"].values()) for e in created["endpoints"]]
    assert conditions == [(False, True, True), (False, False, False)]
    endpoints = plan_endpoints(service(), pods, None)
    assert endpoints is not None
    assert [a["ip"] for a in endpoints["subsets"][0]["notReadyAddresses"]] == ["10.0.0.1"]
    assert "addresses" not in endpoints["subsets"][0]
    assert plan_endpoints(service(), pods, endpoints) is None


def test_flags(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("CERT")
    arguments = ["--kubeconfig", "k", "--node-monitor-grace-period=1m30s", f"--root-ca-file={ca}"]
    _, options, election = flags.parse(
        [*arguments, "--controllers=*,-namespace-controller", "--leader-elect=false"]
    )
    assert options.node_monitor_grace_period == 90
    assert options.root_ca == "CERT"
    assert not options.enabled("namespace-controller")
    assert options.enabled("deployment-controller")
    assert not election.leader_elect
    assert ControllerOptions(controllers=("a",)).enabled("b") is False
    for bad in (["--no-such-flag"], ["--node-monitor-period", "5"], ["--root-ca-file", "/no/such"]):
        with pytest.raises(SystemExit):
            flags.parse(["--kubeconfig", "k", *bad])
    assert "/no/such" in capsys.readouterr().err
