"""`kuberaft why` and `kuberaft story` on one real cluster: ten prepared situations, and a deployment from its request
to its processes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.cluster.errors import ClusterError
from components.insight import ask
from tests.support.local_cluster import LocalCluster, eventually
from tests.unit.apiserver.admission.webhook_server import WebhookServer

pytestmark = pytest.mark.e2e

Answer = dict[str, Any]
CONTAINER = {"name": "c", "image": "kuberaft/pause"}
TOPOLOGY = """\
name: why
masters: {count: 3, apiPort: 0}
workers: {count: 2}
timing: {nodeMonitorGracePeriod: 3s, nodeLeaseDuration: 2s, nodeStatusUpdateFrequency: 1s}
"""


def pod(name: str, namespace: str = "default", **spec: Any) -> Answer:
    container = {**CONTAINER, **spec.pop("container", {})}
    metadata = {"name": name, "namespace": namespace}
    body = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body}


def deployment(name: str, namespace: str = "default", **container: Any) -> Answer:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{**CONTAINER, **container}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def service(name: str, selector: dict[str, str]) -> Answer:
    spec = {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def namespaced(name: str) -> Answer:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"hooked": name}}}


PROBE = {"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 1}
CRASHING = {"image": "python", "command": ["python", "-c", "import sys; sys.exit(3)"]}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small", "namespace": "tight"},
    "spec": {"hard": {"pods": "1"}},
}
HELD = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "held", "finalizers": ["example.com/hold"]},
}
PREPARED = [
    pod("big", container={"resources": {"requests": {"cpu": "640"}}}),
    pod("picky", nodeSelector={"disk": "ssd"}),
    pod("imageless", container={"image": "no.such/image:v1"}),
    pod("crashing", container=CRASHING),
    pod("unready", container={"image": "kuberaft/echo", "readinessProbe": PROBE}),
    pod("lost", nodeName="w2"),
    deployment("crowded", "tight"),
    deployment("refused", "guarded"),
    deployment("web", image="kuberaft/echo"),
    service("web", {"app": "web"}),
    service("nobody", {"app": "nobody"}),
    HELD,
]


@contextmanager
def webhook(directory: Path) -> Iterator[WebhookServer]:
    """It refuses everything; served by a loop of its own."""
    server, loop = WebhookServer(directory), asyncio.new_event_loop()
    server.answers["/no"] = lambda _: {"allowed": False, "status": {"message": "no pods on Sundays"}}
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def guard(server: WebhookServer) -> Answer:
    hook = {
        "name": "no.example.com",
        "clientConfig": server.client_config("/no"),
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
        "namespaceSelector": {"matchLabels": {"hooked": "guarded"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    kind = "ValidatingWebhookConfiguration"
    metadata = {"name": "guard"}
    version = "admissionregistration.k8s.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "webhooks": [hook]}


def apply(cluster: LocalCluster, *objects: Answer) -> None:
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path_factory.mktemp("why"))
    with webhook(tmp_path_factory.mktemp("hook") / "webhook") as server:
        try:
            cluster.up(TOPOLOGY)
            apply(cluster, namespaced("tight"), namespaced("guarded"), QUOTA, guard(server))
            apply(cluster, *PREPARED)
            cluster.kubectl("delete", "configmap", "held", "--wait=false")
            yield cluster
        finally:
            cluster.close()


def why(cluster: LocalCluster, target: str, namespace: str = "default") -> Answer:
    return ask.why(cluster.kubeconfig, ask.target_of(target, namespace))


def explained(cluster: LocalCluster, target: str, *parts: str, namespace: str = "default") -> Answer:
    """The explanation, once its headline has all these parts."""

    def probe() -> Answer | None:
        answer = why(cluster, target, namespace)
        seen.append(answer["headline"])
        return answer if all(part in answer["headline"] for part in parts) else None

    seen: list[str] = []
    return eventually(probe, f"{target} is explained by {parts}, last by {seen[-1:]}", 20)


def texts(answer: Answer) -> str:
    return "\n".join(f"{fact['text']} {fact.get('remedy') or ''}" for fact in answer["facts"])


def test_insufficient_resources(prepared: LocalCluster) -> None:
    answer = explained(prepared, "pod/big", "Pending", "enough cpu")
    assert "asks for 640 cpu" in texts(answer)
    assert answer["lastChange"]["user"] == "kuberaft-admin"
    assert answer["missing"] == []


def test_affinity(prepared: LocalCluster) -> None:
    answer = explained(prepared, "po/picky", "node affinity or selector (disk=ssd)")
    assert "kubectl label nodes" in texts(answer)


def test_taint(prepared: LocalCluster) -> None:
    prepared.kubectl("taint", "nodes", "w1", "w2", "gpu=yes:NoSchedule")
    apply(prepared, pod("intolerant"))
    answer = explained(prepared, "pod/intolerant", "taint gpu of all nodes")
    prepared.kubectl("taint", "nodes", "w1", "w2", "gpu-")
    assert "Taint gpu=yes is on w1, w2." in texts(answer)


def test_quota(prepared: LocalCluster) -> None:
    answer = explained(
        prepared, "deploy/crowded", "too few pods because quota small would be exceeded", namespace="tight"
    )
    assert "Quota small allows pods=1; pods=1 is used" in texts(answer)
    refused = prepared.run_kubectl("-n", "tight", "run", "second", "--image=kuberaft/pause")
    assert refused.returncode
    answer = explained(prepared, "pod/second", "was not created because quota small", namespace="tight")
    assert "kuberaft-admin asked to create it and was refused." in texts(answer)


def test_image(prepared: LocalCluster) -> None:
    explained(prepared, "pod/imageless", 'image "no.such/image:v1" cannot be pulled')


def test_crash_loop(prepared: LocalCluster) -> None:
    answer = explained(prepared, "pod/crashing", "ends again and again with exit code 3")
    assert "logs crashing -c c --previous" in texts(answer)


def test_failing_probe(prepared: LocalCluster) -> None:
    answer = explained(prepared, "pod/unready", "readiness probe of container c fails")
    assert "a connection to port 1 every 1 s" in texts(answer)


def test_finalizer(prepared: LocalCluster) -> None:
    answer = explained(prepared, "cm/held", "being deleted, but the finalizer holds it: example.com/hold")
    assert "kubectl patch configmaps held -n default" in texts(answer)


def test_webhook(prepared: LocalCluster) -> None:
    answer = explained(
        prepared, "deploy/refused", 'because webhook "no.example.com" refuses it', namespace="guarded"
    )
    assert "The webhook says: no pods on Sundays" in texts(answer)


def test_other_kinds(prepared: LocalCluster) -> None:
    explained(prepared, "svc/nobody", "no endpoints: no pod in default has the labels app=nobody")
    explained(prepared, "node/w1", "Node w1 is Ready.")
    explained(prepared, "pod/never", "There is no Pod default/never.")
    explained(prepared, "svc/web", "is well")


def test_the_command_shows_one_screen(prepared: LocalCluster) -> None:
    shown = prepared.kuberaft("why", "pod/picky")
    assert shown.startswith("Pod default/picky is Pending: no node matches its node affinity or selector")
    assert len(shown.splitlines()) <= 24
    with pytest.raises(ClusterError, match='the server doesn\'t have a resource type "gadget"'):
        why(prepared, "gadget/x")


def test_the_story_of_a_deployment_is_complete_and_in_order(prepared: LocalCluster) -> None:
    target = ask.target_of("deployment/web", "default")

    def told() -> Answer | None:
        story = ask.story(prepared.kubeconfig, target)
        steps = [entry["step"] for entry in story["entries"]]
        slices = [e for e in story["entries"] if e["object"]["resource"] == "endpointslices"]
        return story if steps.count("process") == 2 and slices else None

    story = eventually(told, "both processes have started")
    entries = story["entries"]
    assert story["missing"] == []
    assert [entry["time"] for entry in entries] == sorted(entry["time"] for entry in entries)
    places = [
        next(at for at, entry in enumerate(entries) if matches(entry))
        for matches in (
            lambda e: e["step"] == "request" and e["detail"]["user"] == "kuberaft-admin",
            lambda e: e["step"] == "entry" and e["detail"]["index"] > 0 and e["detail"]["term"] > 0,
            lambda e: e["step"] == "revision" and e["object"]["resource"] == "deployments",
            lambda e: e["step"] == "watch",
            lambda e: e["step"] == "decision" and e["component"] == "deployment-controller",
            lambda e: e["step"] == "request" and e["object"]["resource"] == "replicasets",
            lambda e: e["step"] == "decision" and any("create pod" in a for a in e["detail"]["actions"]),
            lambda e: e["step"] == "request" and e["object"]["resource"] == "pods",
            lambda e: e["step"] == "schedule" and e["detail"]["result"] == "bound",
            lambda e: e["step"] == "request" and e["detail"]["verb"] == "bind",
            lambda e: e["step"] == "kubelet" and e["detail"]["step"] == "sandbox",
            lambda e: e["step"] == "process" and e["detail"]["pid"] > 0,
        )
    ]
    assert places == sorted(places)
    created = next(e for e in entries if e["object"]["resource"] == "pods" and e["step"] == "request")
    assert {"plugin": "DefaultTolerationSeconds", "changed": ["/spec/tolerations"]} in created["detail"][
        "admission"
    ]
    kinds = {one["kind"] for one in story["family"]}
    assert {"Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "Endpoints"} <= kinds


def test_other_masters_are_named_when_they_do_not_answer(prepared: LocalCluster) -> None:
    raw = prepared.kubectl("get", "--raw", "/kuberaft/v1/cluster")
    status = json.loads(raw)
    assert [one["role"] for one in status["members"]].count("leader") == 1
    assert all(one["reachable"] for one in status["members"])
    assert {node["name"] for node in status["nodes"]} == {"w1", "w2"}


def test_node_lost(prepared: LocalCluster) -> None:
    """The last one: the node does not come back, nor does one of the masters."""
    prepared.kuberaft("kill", "w2")
    answer = explained(prepared, "pod/lost", "is on node w2, which does not report any more")
    assert "start w2" in texts(answer).lower() or "Start the kubelet of w2" in texts(answer)
    explained(prepared, "node/w2", "is lost: its kubelet does not report any more")
    leader = json.loads(prepared.kubectl("get", "--raw", "/kuberaft/v1/cluster"))["leader"]
    follower = next(name for name in ("m1", "m2", "m3") if name != leader)
    prepared.kuberaft("kill", follower)
    answer = explained(prepared, "pod/big", "enough cpu")
    assert [one["instance"] for one in answer["missing"]] == [follower]
