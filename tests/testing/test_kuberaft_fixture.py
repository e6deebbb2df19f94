"""The plugin used as its users do, and that whatever a test leaves behind is gone for the next."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.transport import ApiClient
from components.cluster.errors import ClusterError
from components.cluster.faults import servers_of
from components.testing.cluster import Cluster
from components.testing.conditions import NotReached
from components.testing.faults import fault
from components.testing.handle import Kuberaft, namespace_for
from components.testing.pool import Pool
from components.testing.spec import ClusterSpec

pytestmark = pytest.mark.e2e
RESETS = 100
MEDIAN_SECONDS = 0.2

# ---- what tests may do to a cluster

DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gears.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "gears", "kind": "Gear"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def named(kind: str, name: str, version: str = "v1", **more: Any) -> Object:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def leave_everything(k: Kuberaft) -> None:
    """Objects of every scope, a definition, stuck finalizers, changed and deleted system objects, a broken webhook."""
    held = {"finalizers": ["example.com/never"]}
    k.create(DEFINITION)
    k.create(named("Gear", "held", "example.com/v1", metadata=held))
    k.create(named("ConfigMap", "held", metadata=held))
    k.delete("configmaps", "held")  # stays: nobody takes the finalizer off
    k.create(named("ClusterRole", "made", "rbac.authorization.k8s.io/v1", rules=[]))
    k.create(named("Namespace", "made", metadata=held))
    k.create(named("ConfigMap", "made", metadata={"namespace": "kube-system"}))
    k.create(named("Node", "made"))
    k.create(named("Service", "made", spec={"ports": [{"port": 80}]}, metadata={"namespace": "default"}))
    k.create(named("Deployment", "made", "apps/v1", spec=deployment(3), metadata={"namespace": "default"}))
    k.wait_for("deployments", "made", lambda o: o["status"]["replicas"] == 3, "default")
    k.patch("namespaces", "default", {"metadata": {"labels": {"mine": "yes"}}})
    k.delete("configmaps", "kube-root-ca.crt", "kube-public")
    k.delete("clusterroles", "view")
    k.delete("namespaces", "made")
    hook = {
        "name": "a.b.c",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
    }
    hook["clientConfig"] = {"url": "https://127.0.0.1:1/"}
    hook["rules"] = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]
    k.create(
        named("ValidatingWebhookConfiguration", "no", "admissionregistration.k8s.io/v1", webhooks=[hook])
    )
    k.fault("500", users=["*"])


def deployment(replicas: int) -> Object:
    labels = {"app": "made"}
    pod = {"containers": [{"name": "c", "image": "kuberaft/pause"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}


def contents(cluster: Cluster) -> dict[str, Any]:
    """Everything that can be listed, without what changes by itself."""
    return cluster.run(_contents(cluster))


async def _contents(cluster: Cluster) -> dict[str, Any]:
    await cluster.discovery.named("pods")
    found: dict[str, Any] = {}
    for resource in cluster.discovery._known:
        if resource.gvr.resource in ("leases", "events", "componentstatuses"):
            continue
        try:
            listed = await cluster.client.list(resource.gvr)
        except ApiError:
            continue  # made by requests only, or of a definition that is gone
        for item in listed["items"]:
            metadata = item["metadata"]
            key = f"{resource.gvr.resource}/{metadata.get('namespace', '')}/{metadata['name']}"
            found[key] = {**item, "status": None, "metadata": (metadata.get("labels"), metadata.get("uid"))}
    return found


def test_everything_that_a_test_leaves_behind_is_gone(kuberaft_pool: Pool, tmp_path: Path) -> None:
    cluster = kuberaft_pool.get(ClusterSpec())
    cluster.reset()
    before = contents(cluster)
    assert len(before) > 100
    k = Kuberaft(cluster, "messy", tmp_path)
    k.open()
    leave_everything(k)
    assert cluster.reset() > 15
    assert cluster.faults() == []
    eventually_equal(lambda: contents(cluster), before, cluster)
    again = Kuberaft(cluster, "messy", tmp_path)
    again.open()
    again.create(DEFINITION)
    again.create(named("Gear", "held", "example.com/v1"))
    again.close()
    cluster.reset()


def eventually_equal(found: Callable[[], Any], wanted: Any, cluster: Cluster) -> None:
    """A controller that had begun when the reset came may still write once; that is taken away by the next."""
    for _ in range(20):
        state = found()
        if state == wanted:
            return
        cluster.reset()
    assert state == wanted


def test_a_hundred_resets_take_less_than_a_fifth_of_a_second_each(
    kuberaft_pool: Pool, tmp_path: Path
) -> None:
    cluster, took = kuberaft_pool.get(ClusterSpec()), []
    for number in range(RESETS):
        k = Kuberaft(cluster, namespace_for("reset", number), tmp_path)
        began = time.perf_counter()
        k.open()
        opened = time.perf_counter()
        k.create(named("ConfigMap", "a"))
        k.create(named("PriorityClass", "made", "scheduling.k8s.io/v1", value=1))
        k.close()
        closing = time.perf_counter()
        cluster.reset()
        took.append(opened - began + time.perf_counter() - closing)
    median = statistics.median(took)
    print(f"median {median * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms")
    assert median < MEDIAN_SECONDS, sorted(took)


# ---- what a test is given


def test_the_clients_see_the_same_namespace(kuberaft: Kuberaft) -> None:
    from kubernetes import client
    from lightkube.resources.core_v1 import ConfigMap

    kuberaft.apply(named("ConfigMap", "a", data={"x": "1"}))
    core = client.CoreV1Api(kuberaft.official())
    assert core.read_namespaced_config_map("a", kuberaft.namespace).data == {"x": "1"}
    assert kuberaft.lightkube().get(ConfigMap, "a").data == {"x": "1"}
    assert [o["metadata"]["name"] for o in kuberaft.list("cm")] == ["a", "kube-root-ca.crt"]
    assert str(kuberaft.kubeconfig) == kuberaft.env["KUBECONFIG"]


def test_waiting_goes_on_over_a_cut_watch_and_tells_why_it_gave_up(kuberaft: Kuberaft) -> None:
    kuberaft.fault("watchStop", after_events=1, abrupt=True, users=["*"], resources=["deployments"])
    kuberaft.apply(named("Deployment", "web", "apps/v1", spec=deployment(2)))
    found = kuberaft.wait_for("deploy", "web", lambda o: o["status"]["replicas"] == 2)
    assert found["metadata"]["namespace"] == kuberaft.namespace
    with pytest.raises(NotReached) as failed:
        kuberaft.wait_for("deployments.apps", "web", "Available", timeout=0.2)
    assert "not within 0.2 s: Available" in str(failed.value)
    assert "Normal ScalingReplicaSet: Scaled up replica set" in str(failed.value)
    kuberaft.delete("deployments", "web")
    assert kuberaft.wait_for("deployments", "web", "deleted") == {}
    asyncio.run(kuberaft.wait_for_async("serviceaccounts", "default"))


@pytest.mark.kuberaft(faults=[fault("429", retry_after=1, verbs=["create"], resources=["configmaps"])])
def test_faults_of_the_marker_meet_the_clients_of_the_test_alone(kuberaft: Kuberaft) -> None:
    from kubernetes import client
    from kubernetes.client.rest import ApiException

    kuberaft.create(named("ConfigMap", "mine"))
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="theirs"))
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(kuberaft.official()).create_namespaced_config_map(kuberaft.namespace, body)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    (found,) = kuberaft.faults()
    assert found["status"]["injected"] == 1


@pytest.mark.kuberaft(masters=3)
def test_all_masters_have_a_fault_once_it_is_added_and_count_the_first_together(kuberaft: Kuberaft) -> None:
    async def codes() -> list[int]:
        found = []
        for server in servers_of(kuberaft.cluster.layout):
            async with ApiClient(server, user_agent="test") as client:
                found.append((await client.raw("GET", "/api/v1/configmaps"))[0])
        return found

    run = kuberaft.cluster.run
    kuberaft.fault("503", resources=["configmaps"])
    assert run(codes()) == [503] * 3
    kuberaft.clear_faults()
    assert run(codes()) == [200] * 3
    kuberaft.fault("503", resources=["configmaps"], first=4)
    assert run(codes()) + run(codes()) == [503] * 4 + [200] * 2


@pytest.mark.kuberaft(masters=3)
def test_a_cluster_of_three_comes_back_as_a_whole(kuberaft: Kuberaft) -> None:
    cluster = kuberaft.cluster
    killed = cluster.kill("leader")
    kuberaft.wait_for("serviceaccounts", "default")
    cluster.reset()
    assert cluster.status()["ready"]
    paused = "m1" if killed != "m1" else "m2"
    cluster.kill(paused, signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while cluster.status()["ready"]:  # the supervisor asks it a few times a second
        assert time.monotonic() < deadline
    cluster.reset()
    assert cluster.status()["ready"]
    kuberaft.create(named("Namespace", kuberaft.namespace))  # it was reset, too


def test_what_is_kept_survives(kuberaft_pool: Pool, tmp_path: Path) -> None:
    cluster = kuberaft_pool.get(ClusterSpec())
    k = Kuberaft(cluster, "kept", tmp_path)
    k.open()
    cluster.keep()
    k.create(named("ConfigMap", "a"))
    cluster.reset()
    assert k.get("namespaces", "kept")
    with pytest.raises(ApiError):
        k.get("configmaps", "a")
    k.delete("namespaces", "kept")
    k.wait_for("namespaces", "kept", "deleted")
    cluster.keep()


def test_a_start_that_fails_gives_the_clusters_own_error(tmp_path: Path, kuberaft_cluster: Cluster) -> None:
    slot = kuberaft_cluster.status()["slot"]
    topology = tmp_path / "taken.yaml"
    topology.write_text(f"network: {{slot: {slot}}}\n")
    pool = Pool(tmp_path, 1)
    spec = ClusterSpec(topology=str(topology))
    for _ in range(2):
        with pytest.raises(ClusterError, match=f"address slot {slot} is taken by another cluster"):
            pool.get(spec)
    pool.close()
    assert [path.name for path in tmp_path.glob("cluster-*.yaml")] == ["cluster-1.yaml"]  # tried once
