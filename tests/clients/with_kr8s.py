"""kr8s, unmodified, synchronous and asynchronous: see `programs`. Streams of pods: `test_streams`."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import kr8s
import pytest
from kr8s.asyncio import api as make_async_api
from kr8s.asyncio import objects as async_objects
from kr8s.objects import ConfigMap, Deployment, Node, Service

from components.testing import clients
from tests.clients import programs

SECONDS = 10


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


def check_what_the_server_tells_of_itself(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    assert k.version()["gitVersion"].startswith("v1.")
    kinds = {resource["kind"] for resource in k.api_resources()}
    assert {"Pod", "Deployment", "Lease", "NetworkPolicy"} <= kinds
    assert "apps/v1" in list(k.api_versions())
    assert k.whoami() == "admin"


def check_an_object_from_its_creation_to_its_end(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    made = ConfigMap(config_map("kr8s", a="1"), api=k)
    made.create()
    assert made.exists()
    made.patch({"data": {"b": "2"}})
    assert made.data.to_dict() == {"a": "1", "b": "2"}
    made.patch([{"op": "remove", "path": "/data/a"}], type="json")
    assert made.data.to_dict() == {"b": "2"}
    made.label({"mine": "yes"})
    made.annotate({"note": "this"})
    made.remove_label("mine")
    fresh = ConfigMap.get("kr8s", namespace="default", api=k)
    assert (fresh.annotations.to_dict(), fresh.labels.to_dict()) == ({"note": "this"}, {})
    with pytest.raises(kr8s.ServerError, match="already exists"):
        ConfigMap(config_map("kr8s"), api=k).create()
    made.delete()
    made.wait("delete", timeout=SECONDS)
    with pytest.raises(kr8s.NotFoundError):
        ConfigMap.get("kr8s", namespace="default", api=k)


def check_lists_by_label_field_and_namespace(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    for number in range(3):
        ConfigMap(config_map(f"many-{number}", {"many": str(number % 2)}), api=k).create()
    assert [o.name for o in k.get("configmaps", label_selector="many=0")] == ["many-0", "many-2"]
    assert [o.name for o in k.get("cm", field_selector="metadata.name=many-1")] == ["many-1"]
    ConfigMap({"metadata": {"name": "elsewhere", "namespace": "kube-system"}}, api=k).create()
    assert {o.namespace for o in k.get("configmaps", namespace=kr8s.ALL)} == {"default", "kube-system"}
    assert [o.name for o in k.get("svc", "kubernetes")] == ["kubernetes"]


def check_scale_and_wait(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    made = Deployment(deployment("scaled"), api=k)
    made.create()
    made.patch({"status": {"replicas": 3, "readyReplicas": 3, "observedGeneration": 2}}, subresource="status")
    made.scale(3)  # returns when there are as many
    assert (made.replicas, made.raw["status"]["readyReplicas"]) == (3, 3)
    condition = {"type": "Available", "status": "True"}
    made.patch({"status": {"conditions": [condition]}}, subresource="status")
    made.wait("condition=Available", timeout=SECONDS)


def check_nodes_and_services(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    node = Node({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}, api=k)
    node.create()
    node.cordon()
    assert node.unschedulable
    node.taint("k", "v", effect="NoSchedule")
    assert [taint["key"] for taint in node.taints][-1] == "k"
    node.uncordon()
    assert not Node.get("n", api=k).unschedulable
    service = Service(
        {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}, api=k
    )
    service.create()
    assert service.raw["spec"]["clusterIP"].startswith("10.96.")


def check_a_watch(kubeconfig: str) -> None:
    k = kr8s.api(kubeconfig=kubeconfig)
    made = ConfigMap(config_map("watched", {"watch": "this"}), api=k)
    made.create()
    events = k.watch("configmaps", namespace="default", label_selector="watch=this")
    assert next(events)[0] == "ADDED"
    made.patch({"data": {"x": "y"}})
    made.delete()
    assert [kind for kind, _ in itertools.islice(events, 2)] == ["MODIFIED", "DELETED"]
    events.close()


def check_the_client_that_the_pytest_plugin_gives(kubeconfig: str) -> None:
    k = clients.kr8s(Path(kubeconfig), "kube-system")
    assert k.namespace == "kube-system"
    assert [found.name for found in k.get("namespaces", "kube-system")] == ["kube-system"]


def check_all_of_it_asynchronously(kubeconfig: str) -> None:
    async def body() -> None:
        k = await make_async_api(kubeconfig=kubeconfig)
        made = await async_objects.ConfigMap(config_map("async", {"async": ""}, a="1"), api=k)
        await made.create()
        await made.patch({"data": {"b": "2"}})
        events = k.async_watch("configmaps", namespace="default", label_selector="async")
        kind, seen = await anext(events)
        assert (kind, seen.data.to_dict()) == ("ADDED", {"a": "1", "b": "2"})
        await made.delete()
        assert (await anext(events))[0] == "DELETED"
        await events.aclose()
        assert not await made.exists()
        assert [o.name async for o in k.get("namespaces", "default")] == ["default"]

    asyncio.run(asyncio.wait_for(body(), SECONDS))


if __name__ == "__main__":
    programs.main(globals())
