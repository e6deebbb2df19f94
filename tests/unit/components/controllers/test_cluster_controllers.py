"""Node life, pod collection, garbage collection and namespaces on a fake API server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from apiserver.api.gvk import GroupVersionResource
from components.client.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    kind_of,
)
from components.client.testing import FakeApi
from components.controllers.manager import ControllerManager
from components.controllers.nodelifecycle.plan import Zone, evict_at, eviction_rate, zone_states
from components.controllers.options import ControllerOptions
from components.controllers.podgc.plan import concerns
from components.controllers.podgc.plan import plan as plan_podgc
from tests.support.virtual_time import run_virtual

START = datetime(2026, 1, 1, tzinfo=UTC)
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def clock() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class DiscoverableApi(FakeApi):
    """With the discovery documents that the controllers of all resources read."""

    served = (CONFIG_MAPS, PODS, REPLICA_SETS, SERVICE_ACCOUNTS)

    async def raw(self, method: str, path: str, **_: object) -> tuple[int, bytes]:
        if path == "/apis":
            groups = sorted({gvr.group for gvr in self.served} - {""})
            return 200, msgspec.json.encode({"groups": [_group(name) for name in groups]})
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        entries = [_entry(gvr) for gvr in self.served if gvr.group == group]
        return 200, msgspec.json.encode({"resources": entries})


def _group(name: str) -> dict[str, Any]:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "preferredVersion": version, "versions": [version]}


def _entry(gvr: GroupVersionResource) -> dict[str, Any]:
    return {"name": gvr.resource, "kind": kind_of(gvr), "namespaced": True, "verbs": VERBS}


async def manage(api: FakeApi, seconds: float, *names: str, **options: Any) -> None:
    manager = ControllerManager(api, ControllerOptions(controllers=names, **options), now=clock)  # type: ignore[arg-type]
    task = asyncio.ensure_future(manager.run())
    await asyncio.sleep(seconds)
    assert not task.done(), task
    task.cancel()
    await asyncio.wait({task})


def owned(name: str, owner: dict[str, Any] | None, **extra: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", **extra}
    if owner is not None:
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["metadata"]["name"]}
        uid = owner["metadata"]["uid"]
        metadata["ownerReferences"] = [{**reference, "uid": uid, "blockOwnerDeletion": True}]
    return {"metadata": metadata}


GC = "garbage-collector-controller"


def test_garbage_goes_when_its_last_owner_has_gone() -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        first = await api.create(REPLICA_SETS, owned("first", None), namespace="default")
        second = await api.create(REPLICA_SETS, owned("second", None), namespace="default")
        both = owned("both", first)
        both["metadata"]["ownerReferences"] += owned("x", second)["metadata"]["ownerReferences"]
        await api.create(CONFIG_MAPS, both, namespace="default")
        await api.create(CONFIG_MAPS, owned("one", first), namespace="default")
        absent = {"metadata": {"name": "never", "uid": "no-such-uid"}}
        await api.create(CONFIG_MAPS, owned("dangling", absent), namespace="default")
        await manage(api, 5, GC)
        assert sorted(c["metadata"]["name"] for c in api.all(CONFIG_MAPS)) == ["both", "one"]
        await api.delete(REPLICA_SETS, "first", "default")
        await manage(api, 5, GC)
        (left,) = api.all(CONFIG_MAPS)
        assert [r["name"] for r in left["metadata"]["ownerReferences"]] == ["second"]

    run_virtual(main())


def test_objects_of_a_new_definition_are_followed_as_soon_as_they_are_served() -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        managing = asyncio.ensure_future(manage(api, 20, GC))
        await asyncio.sleep(2)
        owner = await api.create(LEASES, owned("owner", None), namespace="default")
        dependent = owned("dependent", owner)
        (reference,) = dependent["metadata"]["ownerReferences"]
        reference |= {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        await api.create(CONFIG_MAPS, dependent, namespace="default")
        api.load(CUSTOM_RESOURCE_DEFINITIONS, definition_of_leases())
        await asyncio.sleep(2)  # discovery is behind the definition
        api.served = (*api.served, LEASES)
        await asyncio.sleep(5)  # much less than between two looks without a reason
        await api.delete(LEASES, "owner", "default")
        await asyncio.sleep(2)
        assert api.all(CONFIG_MAPS) == []
        await managing

    run_virtual(main())


def definition_of_leases() -> dict[str, Any]:
    status = {"acceptedNames": {"kind": "Lease"}, "conditions": [{"type": "Established", "status": "True"}]}
    return {
        "metadata": {"name": "leases.coordination.k8s.io"},
        "spec": {"group": "coordination.k8s.io"},
        "status": status,
    }


@pytest.mark.parametrize(("finalizer", "left"), [("foregroundDeletion", 0), ("orphan", 1)])
def test_foreground_and_orphaning_deletion(finalizer: str, left: int) -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        owner = owned("owner", None, finalizers=[finalizer])
        created = await api.create(REPLICA_SETS, owner, namespace="default")
        await api.create(CONFIG_MAPS, owned("dependent", created), namespace="default")
        await api.delete(REPLICA_SETS, "owner", "default")
        await manage(api, 5, GC)
        assert api.all(REPLICA_SETS) == []
        assert len(api.all(CONFIG_MAPS)) == left
        assert all(not c["metadata"].get("ownerReferences") for c in api.all(CONFIG_MAPS))

    run_virtual(main())


def make_node(name: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    return {"metadata": {"name": name}, "status": {"conditions": [ready]}}


def test_a_silent_node_is_marked_tainted_and_emptied_while_others_live() -> None:
    async def main() -> None:
        api = FakeApi(clock)
        api.load(NODES, make_node("alive"), make_node("dead"))
        lease = {"metadata": {"name": "alive", "namespace": "kube-node-lease"}, "spec": {}}
        await api.create(LEASES, lease, namespace="kube-node-lease")
        ready = [{"type": "Ready", "status": "True"}]
        tolerations = [
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 30,
            }
        ]
        for node in ("alive", "dead"):
            pod = owned(f"on-{node}", None)
            pod |= {"spec": {"nodeName": node, "tolerations": tolerations}}
            pod["status"] = {"phase": "Running", "conditions": ready}
            api.load(PODS, pod)

        async def renew() -> None:
            while True:
                await asyncio.sleep(10)
                patch = {"spec": {"renewTime": clock().isoformat()}}
                await api.patch(LEASES, "alive", patch, "kube-node-lease")

        renewing = asyncio.ensure_future(renew())
        await manage(api, 70, "node-lifecycle-controller")
        dead, alive = api.peek(NODES, "dead"), api.peek(NODES, "alive")
        assert dead is not None
        assert alive is not None
        assert dead["status"]["conditions"][0]["status"] == "Unknown"
        taints = {(t["key"], t["effect"]) for t in dead["spec"]["taints"]}
        key = "node.kubernetes.io/unreachable"
        assert taints == {(key, "NoSchedule"), (key, "NoExecute")}
        assert not alive.get("spec", {}).get("taints")
        pod = api.peek(PODS, "default/on-dead")
        assert pod is not None
        assert pod["status"]["conditions"][0]["status"] == "False"
        assert "deletionTimestamp" not in pod["metadata"]
        await manage(api, 40, "node-lifecycle-controller")
        pod = api.peek(PODS, "default/on-dead")
        assert pod is None or "deletionTimestamp" in pod["metadata"]
        kept = api.peek(PODS, "default/on-alive")
        assert kept is not None
        assert "deletionTimestamp" not in kept["metadata"]
        renewing.cancel()
        await asyncio.wait({renewing})

    run_virtual(main())


def test_no_pod_is_evicted_when_every_node_is_silent() -> None:
    async def main() -> None:
        api = FakeApi(clock)
        api.load(NODES, make_node("a"), make_node("b"))
        pod = owned("p", None)
        api.load(PODS, pod | {"spec": {"nodeName": "a"}, "status": {"phase": "Running"}})
        await manage(api, 600, "node-lifecycle-controller")
        for node in api.all(NODES):
            assert {t["effect"] for t in node["spec"]["taints"]} == {"NoSchedule"}
        assert len(api.all(PODS)) == 1

    run_virtual(main())


def test_zones_and_eviction_rates() -> None:
    def nodes(ready: int, silent: int) -> list[dict[str, Any]]:
        bad = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        good = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        return [good] * ready + [bad] * silent

    assert zone_states(nodes(1, 1), 0.55) == {":": Zone.NORMAL}
    assert zone_states(nodes(2, 3), 0.55) == {":": Zone.PARTIAL}
    assert zone_states(nodes(0, 2), 0.55) == {":": Zone.FULL}
    assert eviction_rate(":", {":": Zone.PARTIAL}, 5, 0.1, 0.01, 50) == 0
    assert eviction_rate(":", {":": Zone.PARTIAL}, 51, 0.1, 0.01, 50) == 0.01
    assert eviction_rate("a", {"a": Zone.FULL, "b": Zone.NORMAL}, 5, 0.1, 0.01, 50) == 0.1


def test_when_a_pod_must_leave() -> None:
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
    forever = {"key": "k", "operator": "Exists"}
    a_while = {**forever, "tolerationSeconds": 30}
    assert evict_at({"spec": {}}, [taint], START) == START
    assert evict_at({"spec": {"tolerations": [forever]}}, [taint], START) is None
    assert evict_at({"spec": {"tolerations": [a_while]}}, [taint], START) == START + timedelta(seconds=30)
    assert evict_at({"spec": {}}, [{"key": "k", "effect": "NoSchedule"}], START) is None


def test_pods_that_nobody_else_deletes() -> None:
    def pod(name: str, phase: str = "Running", node: str = "n", **metadata: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name, **metadata},
            "spec": {"nodeName": node},
            "status": {"phase": phase},
        }

    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    pods = [
        pod("done-new", "Succeeded", creationTimestamp=new),
        pod("done-old", "Failed", creationTimestamp=old),
        pod("orphan", node="gone"),
        pod("unscheduled", node="", deletionTimestamp=old),
        pod("fine"),
    ]
    plan = plan_podgc(pods, {"n"}, 1)
    assert [p["metadata"]["name"] for p in plan.terminated] == ["done-old"]
    assert [p["metadata"]["name"] for p in plan.orphaned] == ["orphan"]
    assert [p["metadata"]["name"] for p in plan.unscheduled] == ["unscheduled"]
    concerned = [p for p in pods if concerns(p, {"n"})]
    assert [p["metadata"]["name"] for p in pods if p not in concerned] == ["fine"]
    assert plan_podgc(concerned, {"n"}, 1) == plan


def test_a_namespace_is_furnished() -> None:
    async def main() -> None:
        api = FakeApi(clock)
        await api.create(NAMESPACES, {"metadata": {"name": "n"}})
        names = ("serviceaccount-controller", "root-ca-certificate-publisher-controller")
        await manage(api, 3, *names, root_ca="CERT")
        assert api.peek(SERVICE_ACCOUNTS, "n/default") is not None
        published = api.peek(CONFIG_MAPS, "n/kube-root-ca.crt")
        assert published is not None
        assert published["data"] == {"ca.crt": "CERT"}
        await api.delete(SERVICE_ACCOUNTS, "default", "n")
        await api.patch(CONFIG_MAPS, "kube-root-ca.crt", {"data": {"ca.crt": "x"}}, "n")
        await manage(api, 3, *names, root_ca="CERT")
        assert api.peek(SERVICE_ACCOUNTS, "n/default") is not None
        published = api.peek(CONFIG_MAPS, "n/kube-root-ca.crt")
        assert published is not None
        assert published["data"] == {"ca.crt": "CERT"}

    run_virtual(main())


def test_a_deleted_namespace_is_emptied_and_then_finalized() -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        # The fake drops deleted objects without finalizers; it does not know those in the spec.
        metadata = {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["test/keep"]}
        api.load(NAMESPACES, {"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}})
        for index in range(3):
            await api.create(
                CONFIG_MAPS, {"metadata": {"name": f"c{index}", "namespace": "n"}}, namespace="n"
            )
        held = {"metadata": {"name": "held", "namespace": "n", "finalizers": ["example.com/hold"]}}
        await api.create(SERVICE_ACCOUNTS, held, namespace="n")
        await api.create(CONFIG_MAPS, owned("elsewhere", None), namespace="default")
        await manage(api, 5, "namespace-controller")
        found = api.peek(NAMESPACES, "n")
        assert found is not None
        conditions = {c["type"]: c for c in found["status"]["conditions"]}
        remaining = conditions["NamespaceContentRemaining"]
        assert (remaining["status"], remaining["reason"]) == ("True", "SomeResourcesRemain")
        assert "serviceaccounts has 1 resource instances" in remaining["message"]
        assert "example.com/hold in 1" in conditions["NamespaceFinalizersRemaining"]["message"]
        assert not any(action.subresource == "finalize" for action in api.actions)
        await api.patch(SERVICE_ACCOUNTS, "held", {"metadata": {"finalizers": None}}, "n")
        await manage(api, 5, "namespace-controller")
        (finalize, *_) = [action for action in api.actions if action.subresource == "finalize"]
        assert finalize.body["spec"]["finalizers"] == []
        assert [c["metadata"]["name"] for c in api.all(CONFIG_MAPS)] == ["elsewhere"]

    run_virtual(main())
