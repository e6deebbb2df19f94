"""Explanations, by tables: prepared situations, and what there is to say without journals or events."""

from __future__ import annotations

from typing import Any

import pytest

from components.insight.explain import Explanation
from components.insight.reasons.messages import parse
from tests.unit.components.insight.builders import (
    EARLIER,
    Object,
    event,
    explained,
    node,
    request,
    running,
    situation,
    texts,
    unscheduled,
)

CPU = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found."
TAINT = "0/2 nodes are available: 2 node(s) had untolerated taint {gpu: yes}. preemption: 0/2 nodes are available."
MIXED = (
    "0/3 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector, "
    "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }. preemption: not eligible."
)
QUOTA = 'pods "web-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5'
WEBHOOK = 'admission webhook "no.example.com" denied the request: no pods on Sundays'
UNREACHED = (
    'Internal error occurred: failed calling webhook "no.example.com": failed to call webhook: '
    'Post "https://x": connection refused'
)
POLICY = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: too many replicas"
CREATING = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING = {
    "spec": {"nodeName": "n1", "initContainers": [{"name": "i"}], "containers": [{"name": "c"}]},
    "status": {
        "phase": "Pending",
        "initContainerStatuses": [{"name": "i", "state": {"running": {"startedAt": EARLIER}}}],
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}],
    },
}
SLICE = {"endpoints": [{"addresses": ["1.2.3.4"]}]}
ROLLED_OUT = {"readyReplicas": 2, "updatedReplicas": 2}
TOLERATES = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "tolerationSeconds": 300}]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (CPU, (2, {"Insufficient cpu": 2})),
        (TAINT, (2, {"node(s) had untolerated taint {gpu: yes}": 2})),
        (
            MIXED,
            (
                3,
                {
                    "Insufficient memory": 1,
                    "node(s) didn't match Pod's node affinity/selector": 1,
                    "node(s) had untolerated taint {node.kubernetes.io/unreachable: }": 1,
                },
            ),
        ),
        (
            "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: x",
            (1, {"Too many pods": 1}),
        ),
        ("no nodes available to schedule pods", (0, {})),
        ("", (0, {})),
    ],
)
def test_the_schedulers_message_is_read(message: str, expected: tuple[int, dict[str, int]]) -> None:
    assert parse(message) == expected


def asking(cpu: str) -> list[Object]:
    return [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]


def placed(cpu: str, on: str) -> Object:
    return {"metadata": {"name": "other"}, "spec": {"nodeName": on, "containers": asking(cpu)}, "status": {}}


def test_insufficient_resources() -> None:
    nodes = {"Node": [node("n1"), node("n2", cpu="4")], "Pod": [placed("1500m", "n1"), placed("3", "n2")]}
    found = explained("Pod", unscheduled(CPU, containers=asking("1500m")), related=nodes)
    assert found.headline == "Pod default/web is Pending: no node has enough cpu left."
    assert "It asks for 1500m cpu; the most that a node has left is 1 (n2)." in texts(found)
    assert found.facts[0].since == EARLIER
    too_much = explained("Pod", unscheduled(CPU, containers=asking("64")), related=nodes)
    assert "no node has so much at all" in texts(too_much)


def test_taint() -> None:
    taints = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    nodes = {"Node": [node("n1", taints=taints), node("n2", taints=taints)]}
    found = explained("Pod", unscheduled(TAINT), related=nodes)
    assert found.headline == "Pod default/web is Pending: it does not tolerate the taint gpu of all nodes."
    assert "Taint gpu=yes is on n1, n2. Add a toleration of gpu=yes" in texts(found)


def test_affinity() -> None:
    message = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: x"
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = {"nodeSelector": {"disk": "ssd"}, "affinity": {"nodeAffinity": required}}
    found = explained("Pod", unscheduled(message, **spec))
    assert "no node matches its node affinity or selector (disk=ssd and zone In a,b)" in found.headline


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("node(s) didn't match pod affinity rules", "spec.affinity.podAffinity"),
        ("node(s) didn't match pod anti-affinity rules", "spec.affinity.podAntiAffinity"),
        (
            "node(s) didn't satisfy existing pods anti-affinity rules",
            "the podAntiAffinity of a pod that runs",
        ),
        ("node(s) didn't match pod topology spread constraints", "spec.topologySpreadConstraints"),
        ("node(s) didn't have free ports for the requested pod ports", "a hostPort that is taken"),
        ("node(s) were unschedulable", "nodes that are cordoned"),
    ],
)
def test_other_rules(reason: str, part: str) -> None:
    found = explained("Pod", unscheduled(f"0/2 nodes are available: 2 {reason}. preemption: x"))
    assert found.headline.startswith(f"Pod default/web is Pending: {part}")


def test_several_reasons_are_all_told() -> None:
    found = explained("Pod", unscheduled(MIXED), related={"Node": [node("n1")], "Pod": []})
    assert "It asks for 0 memory" in texts(found)
    assert "It may only run on nodes with" in texts(found)
    assert "the node does not report any more" in texts(found)
    assert texts(found).count("The scheduler says") == 1


@pytest.mark.parametrize(
    ("pod", "headline"),
    [
        (unscheduled("no nodes available to schedule pods"), "the cluster has no node"),
        ({"spec": {}, "status": {"phase": "Pending"}}, "the scheduler has not looked at it yet"),
        (
            {"spec": {"schedulerName": "mine"}, "status": {"phase": "Pending"}},
            "the scheduler mine has said nothing",
        ),
        (
            {"spec": {"schedulingGates": [{"name": "g"}]}, "status": {"phase": "Pending"}},
            "it waits for its scheduling gates to be removed: g",
        ),
        (unscheduled("0/1 nodes are available: 1 something new. preemption: x"), "has found no node for it"),
    ],
)
def test_pods_without_a_node(pod: Object, headline: str) -> None:
    assert headline in explained("Pod", pod).headline


def test_an_event_stands_in_for_a_condition() -> None:
    found = explained("Pod", {"spec": {}, "status": {}}, events=[event("FailedScheduling", CPU)])
    assert "no node has enough cpu left" in found.headline
    assert found.facts[0].evidence == "event FailedScheduling, 3 times"


def failing(message: str) -> Object:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": message,
        "lastTransitionTime": EARLIER,
    }
    return {"spec": {"replicas": 2}, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("message", "headline", "fact"),
    [
        (
            QUOTA,
            "because quota small would be exceeded",
            "Quota small allows pods=5; pods=5 is used, and pods=1 was asked",
        ),
        (
            "pods is forbidden: failed quota: q: must specify cpu for: c",
            "because quota q needs cpu",
            "every pod must say",
        ),
        (WEBHOOK, 'because webhook "no.example.com" refuses it', "The webhook says: no pods on Sundays"),
        (UNREACHED, 'because webhook "no.example.com" cannot be asked', "failurePolicy is Fail"),
        (POLICY, "because policy p refuses it", "too many replicas"),
        ("violates PodSecurity", "the API server refused it", "violates PodSecurity"),
    ],
)
def test_refusals(message: str, headline: str, fact: str) -> None:
    of_replicas = explained("Deployment", failing(message))
    assert of_replicas.headline.startswith("Deployment default/web has too few pods")
    by_event = explained("ReplicaSet", {"spec": {"replicas": 2}}, events=[event("FailedCreate", message)])
    by_record = explained("Pod", None, records=[request(403, message)])
    assert by_record.headline.startswith("Pod default/web was not created")
    assert "alice asked to create it and was refused." in texts(by_record)
    for found in (of_replicas, by_event, by_record):
        assert headline in found.headline
        assert fact in texts(found)


def test_what_was_accepted_later_is_no_refusal() -> None:
    assert "refused" not in explained("Pod", running(), records=[request(403, QUOTA), request(201)]).headline
    made = {**event("SuccessfulCreate", "Created"), "lastTimestamp": "2026-01-01T11:59:30Z"}
    found = explained("ReplicaSet", {"spec": {"replicas": 2}}, events=[event("FailedCreate", QUOTA), made])
    assert "quota" not in found.headline
    assert (
        explained("Pod", None, records=[request(404, "x", "delete")]).headline
        == "There is no Pod default/web."
    )


def test_image() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling"}}
    found = explained("Pod", running(waiting), events=[event("Failed", "not found")])
    assert found.headline == 'Pod default/web cannot start container c: image "img:1" cannot be pulled.'
    assert "not found" in texts(found)


def test_crash_loop() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": EARLIER, "message": "bye"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
    found = explained("Pod", running(waiting, status={"lastState": ended, "restartCount": 7}))
    assert "container c ends again and again with exit code 137; it was restarted 7 times" in found.headline
    assert '(OOMKilled): it was killed (SIGKILL), by its node or for want of memory. It says: "bye"' in texts(
        found
    )
    assert "kubectl -n default logs web -c c --previous" in texts(found)


def test_a_container_that_cannot_be_made() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}
    found = explained("Pod", running(waiting))
    assert "cannot start container c: CreateContainerConfigError" in found.headline
    assert 'secret "s" not found' in texts(found)


def unhealthy(kind: str) -> Object:
    about = {"fieldPath": "spec.containers{c}"}
    return event("Unhealthy", f"{kind} probe failed: refused", involvedObject=about)


def test_failing_probes() -> None:
    probe = {"httpGet": {"path": "/ok", "port": 80}, "periodSeconds": 2}
    unready = running(container={"readinessProbe": probe}, status={"ready": False})
    found = explained("Pod", unready, events=[unhealthy("Readiness")])
    assert "the readiness probe of container c fails: it is not ready" in found.headline
    assert "GET /ok at port 80 every 2 s, 3 failures count" in texts(found)
    restarted = running(container={"livenessProbe": probe}, status={"ready": False, "restartCount": 2})
    found = explained("Pod", restarted, events=[unhealthy("Liveness")])
    assert "the liveness probe of container c fails: its kubelet restarts it" in found.headline
    no_events = explained("Pod", unready)
    assert "runs, but is not ready: its readiness probe has not succeeded" in no_events.headline
    ready = running(status={"ready": True}, conditions=[{"type": "Ready", "status": "True"}])
    assert "is well" in explained("Pod", ready, events=[unhealthy("Readiness")]).headline


def test_finalizers() -> None:
    going = {"metadata": {"deletionTimestamp": EARLIER, "finalizers": ["example.com/hold"]}}
    found = explained("ConfigMap", going)
    assert found.headline == (
        "ConfigMap default/web is being deleted, but the finalizer holds it: example.com/hold."
    )
    assert "kubectl patch configmaps web -n default" in texts(found)
    ours = {"metadata": {"deletionTimestamp": EARLIER, "finalizers": ["foregroundDeletion"]}}
    assert "the garbage collector takes it away" in texts(explained("ConfigMap", ours))
    condition = {
        "type": "NamespaceContentRemaining",
        "status": "True",
        "message": "Some resources remain: pods.",
    }
    namespace = {"metadata": {"deletionTimestamp": EARLIER}, "spec": {"finalizers": ["kubernetes"]},
                 "status": {"conditions": [condition]}}  # fmt: skip
    assert "Some resources remain: pods." in texts(explained("Namespace", namespace))
    pod = {**running(), "metadata": {"deletionTimestamp": EARLIER, "deletionGracePeriodSeconds": 30}}
    assert "its containers are ending" in explained("Pod", pod).headline


def test_node_lost() -> None:
    lost = {"Node": [node("n1", ready="Unknown")]}
    found = explained("Pod", running(spec={"tolerations": TOLERATES}), related=lost)
    assert found.headline == (
        "Pod default/web is on node n1, which does not report any more: nobody knows whether it still runs."
    )
    assert "evicted at 2026-01-01T12:04:00Z" in texts(found)
    for_ever = explained("Pod", running(spec={"tolerations": [{"operator": "Exists"}]}), related=lost)
    assert "for ever" in texts(for_ever)
    assert "which there is no more" in explained("Pod", running(), related={"Node": []}).headline
    unready = explained("Pod", running(), related={"Node": [node("n1", ready="False")]})
    assert "is on node n1, which is not ready" in unready.headline
    assert "is lost" in explained("Node", node("web", ready="Unknown")).headline


def condition(kind: str, status: str, message: str) -> Object:
    return {"type": kind, "status": status, "message": message, "lastTransitionTime": EARLIER}


def ending(phase: str, code: int, **status: Any) -> Object:
    state = {"terminated": {"exitCode": code, "reason": "Error", "finishedAt": EARLIER}}
    pod = running(state)
    pod["status"] |= {"phase": phase, **status}
    return pod


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        (explained("Pod", ending("Succeeded", 0)), "has done its work and ended"),
        (explained("Pod", ending("Failed", 3, reason="Evicted")), "has failed: Evicted"),
        (explained("Service", {"spec": {"selector": {"a": "b"}}}), "no pod in default has the labels a=b"),
        (explained("Service", {"spec": {}}), "it has no selector"),
        (
            explained(
                "Service",
                {"spec": {"selector": {"a": "b"}}},
                related={"Pod": [{"metadata": {"name": "p", "labels": {"a": "b"}}}]},
            ),
            "of 1 pods that it selects none is ready",
        ),
        (
            explained("Service", {"spec": {}}, related={"EndpointSlice": [SLICE]}),
            "is well: it has 1 ready endpoint",
        ),
        (
            explained("PersistentVolumeClaim", {"spec": {"storageClassName": "fast"}}),
            "no volume is bound to it",
        ),
        (explained("Node", node("web")), "Node web is Ready"),
        (explained("Deployment", {"spec": {"replicas": 2}, "status": ROLLED_OUT}), "is well"),
        (explained("Deployment", {"spec": {"paused": True}}), "is paused"),
        (explained("Widget", {}), "cannot be said from here"),
        (
            explained("Widget", {"status": {"conditions": [condition("Ready", "False", "no disk")]}}),
            "is not Ready: no disk",
        ),
        (
            explained("Widget", {"status": {"conditions": [condition("Failed", "True", "too often")]}}),
            "is Failed: too often",
        ),
        (
            explained("Widget", {"status": {"conditions": [condition("Ready", "True", "")]}}),
            "is well: Ready is True",
        ),
        (
            explained("Pod", {"spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}}),
            "has not begun with it",
        ),
        (explained("Pod", running(CREATING, phase="Pending")), "is starting on n1"),
        (explained("Pod", INITIALIZING), "waits for its init container i to end"),
        (explained("Widget", None), "There is no Widget default/web."),
    ],
)
def test_headlines_of_other_kinds(found: Explanation, headline: str) -> None:
    assert headline in found.headline


def test_a_claim_that_a_pod_waits_for() -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    waiting = {"spec": {"volumes": volumes, "nodeName": "n1"}, "status": {"phase": "Pending"}}
    none = explained("Pod", waiting, related={"PersistentVolumeClaim": []})
    assert "there is no PersistentVolumeClaim data" in none.headline
    claim = {"metadata": {"name": "data"}, "status": {"phase": "Pending"}}
    assert (
        "data is not bound" in explained("Pod", waiting, related={"PersistentVolumeClaim": [claim]}).headline
    )


def test_a_deployment_is_as_its_pods_are() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    parts = [situation("ReplicaSet", {"spec": {"replicas": 1}}), situation("Pod", running(waiting))]
    found = explained("Deployment", {"spec": {"replicas": 1}}, parts=parts)
    assert found.headline.startswith(
        "Deployment default/web is not as it should be: Pod default/web cannot start"
    )
    assert "no such image" in texts(found)


def test_why_a_pod_is_where_it_is() -> None:
    decision = request(0)
    decision.source, decision.summary = (
        "scheduler",
        "default/web goes to n1: the best score of 2 possible nodes",
    )
    decision.detail = {
        "result": "bound",
        "scores": [{"node": "n1", "total": 9, "plugins": {"A": 4, "B": 5}}],
        "filtered": [{"node": "n2", "plugin": "NodeResourcesFit", "reason": "Insufficient cpu"}],
    }
    well = running(status={"ready": True}, conditions=[{"type": "Ready", "status": "True"}])
    found = explained("Pod", well, records=[decision])
    assert found.headline == "Pod default/web is well: it runs on n1 and is ready."
    assert "Score of n1: 9 (A 4, B 5)." in texts(found)
    assert "n2 was not possible: Insufficient cpu (NodeResourcesFit)." in texts(found)
    without = explained("Pod", well, events=[event("Scheduled", "Successfully assigned default/web to n1")])
    assert "Successfully assigned" in texts(without)


def test_a_deleted_object_names_who_deleted_it() -> None:
    found = explained("Pod", None, records=[request(201), request(200, "", "delete")])
    assert found.headline == "There is no Pod default/web."
    assert "alice deleted it." in texts(found)
