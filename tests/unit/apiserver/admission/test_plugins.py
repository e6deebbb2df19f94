"""Each plugin through the default chain, on objects as the original stores them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from apiserver.admission.chain import default_chain
from apiserver.admission.interface import CREATE, DELETE, UPDATE, AdmissionOptions, Attributes
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.auth import rbac
from apiserver.auth.user import User


class FakeReader:
    """Objects by (resource, namespace, name). Nothing is written through it: `swap` must not be called."""

    def __init__(self, **objects: list[Object]) -> None:
        self.objects = objects

    async def get(
        self, gvr: GroupVersionResource, namespace: str, name: str, *, fresh: bool = False
    ) -> Object | None:
        found = [o for o in await self.list(gvr, namespace or None) if o["metadata"]["name"] == name]
        return found[0] if found else None

    async def list(self, gvr: GroupVersionResource, namespace: str | None = None) -> list[Object]:
        items = self.objects.get(gvr.resource, [])
        return [o for o in items if namespace in (None, o["metadata"].get("namespace"))]

    async def swap(self, gvr: GroupVersionResource, obj: Object) -> tuple[bool, Object | None]:
        raise AssertionError(f"an update of {gvr.resource}")


class Anything:
    """Everybody may do everything."""

    async def decide(self, asked: rbac.Attributes) -> tuple[bool, str]:
        return True, ""

    async def role_based(self, user: User, namespace: str) -> list[rbac.Rule]:
        return []

    async def role(self, kind: str, namespace: str, name: str) -> list[rbac.CompiledRule]:
        return []


def named(name: str, namespace: str | None = None, **fields: Any) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata | fields.pop("metadata", {}), **fields}


def reader(**more: list[Object]) -> FakeReader:
    base = {"namespaces": [named("ns")], "serviceaccounts": [named("default", "ns")]}
    return FakeReader(**{**base, **more})


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "t1", "namespace": "ns"}, "spec": {"containers": [{"name": "c"}], **spec}}


def attributes(
    obj: Object | None, resource: str = "pods", operation: str = CREATE, group: str = "", **more: Any
) -> Attributes:
    return Attributes(
        operation=operation,
        gvr=GroupVersionResource(group, "v1", resource),
        gvk=GroupVersionKind(group, "v1", resource),
        namespace=more.pop("namespace", "ns"),
        name=more.pop("name", (obj or {}).get("metadata", {}).get("name", "")),
        obj=obj,
        old=more.pop("old", None),
        user=User("alice"),
        **more,
    )


def run(write: Attributes, source: FakeReader) -> Object | None:
    async def both() -> None:
        chain = default_chain(source, source, Anything(), AdmissionOptions(rng=random.Random(1)))
        await chain.admit(write)
        await chain.validate(write)

    asyncio.run(both())
    return write.obj


def refused(write: Attributes, source: FakeReader) -> StatusError:
    with pytest.raises(StatusError) as info:
        run(write, source)
    return info.value


def test_a_plain_pod_gets_account_token_tolerations_and_priority() -> None:
    spec = run(attributes(pod()), reader())["spec"]  # type: ignore[index]
    volume = spec["volumes"][0]["name"]
    assert volume.startswith("kube-api-access-")
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume,
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    assert [list(source) for source in spec["volumes"][0]["projected"]["sources"]] == [
        ["serviceAccountToken"],
        ["configMap"],
        ["downwardAPI"],
    ]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert [(t["key"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")


def test_own_toleration_of_everything_is_enough() -> None:
    spec = run(attributes(pod(tolerations=[{"operator": "Exists"}])), reader())["spec"]  # type: ignore[index]
    assert spec["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize("where", ["pod", "account"])
def test_token_can_be_declined(where: str) -> None:
    account = named("default", "ns", automountServiceAccountToken=where == "pod")
    wish = {"automountServiceAccountToken": False} if where == "pod" else {}
    spec = run(attributes(pod(**wish)), reader(serviceaccounts=[account]))["spec"]  # type: ignore[index]
    assert "volumes" not in spec
    assert "volumeMounts" not in spec["containers"][0]


def test_unknown_service_account_is_refused() -> None:
    error = refused(attributes(pod(serviceAccountName="robot")), reader())
    assert error.message == (
        'pods "t1" is forbidden: error looking up service account ns/robot: serviceaccount "robot" not found'
    )


def test_account_pull_secrets_are_inherited() -> None:
    account = named("default", "ns", imagePullSecrets=[{"name": "registry"}])
    spec = run(attributes(pod()), reader(serviceaccounts=[account]))["spec"]  # type: ignore[index]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


def test_mirror_pod_may_not_use_accounts() -> None:
    mirror = pod(serviceAccountName="default")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert "a mirror pod may not reference service accounts" in refused(attributes(mirror), reader()).message


def test_missing_namespace_is_not_found() -> None:
    error = refused(attributes(named("x"), "configmaps", namespace="none"), reader())
    assert (error.code, error.message) == (404, 'namespaces "none" not found')


def test_ending_namespace_takes_nothing_new() -> None:
    ending = named("ns", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    error = refused(attributes(named("x", "ns"), "configmaps"), reader(namespaces=[ending]))
    assert error.message == (
        'configmaps "x" is forbidden: unable to create new content in namespace ns '
        "because it is being terminated"
    )
    assert error.details is not None
    assert error.details["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace ns is being terminated",
            "field": "metadata.namespace",
        }
    ]


def test_updates_in_an_ending_namespace_go_on() -> None:
    ending = named("ns", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    run(attributes(named("x", "ns"), "configmaps", UPDATE), reader(namespaces=[ending]))


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_system_namespaces_are_immortal(name: str) -> None:
    write = attributes(None, "namespaces", DELETE, namespace="", name=name)
    assert "this namespace may not be deleted" in refused(write, reader()).message


def priority_class(name: str, value: int, **fields: Any) -> Object:
    return named(name, value=value, **fields)


def test_priority_comes_from_the_class_or_the_default_class() -> None:
    classes = [priority_class("high", 9), priority_class("usual", 3, globalDefault=True)]
    source = reader(priorityclasses=classes)
    assert run(attributes(pod(priorityClassName="high")), source)["spec"]["priority"] == 9  # type: ignore[index]
    spec = run(attributes(pod()), source)["spec"]  # type: ignore[index]
    assert (spec["priority"], spec["priorityClassName"]) == (3, "usual")


def test_unknown_class_and_own_number_are_refused() -> None:
    source = reader(priorityclasses=[priority_class("high", 9)])
    unknown = refused(attributes(pod(priorityClassName="x")), source)
    assert unknown.message.endswith("no PriorityClass with name x was found")
    own = refused(attributes(pod(priorityClassName="high", priority=8)), source)
    assert "the integer value of priority (8) must not be provided in pod spec" in own.message


def test_second_default_class_is_refused() -> None:
    source = reader(priorityclasses=[priority_class("a", 1, globalDefault=True)])
    write = attributes(
        priority_class("b", 2, globalDefault=True), "priorityclasses", group="scheduling.k8s.io", namespace=""
    )
    assert "Only one default can exist" in refused(write, source).message


def test_update_keeps_the_computed_priority() -> None:
    old = pod(priority=7, preemptionPolicy="Never")
    spec = run(attributes(pod(tolerations=[{}]), operation=UPDATE, old=old), reader())["spec"]  # type: ignore[index]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")


def test_new_node_is_tainted_once() -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    node = run(attributes(named("n1"), "nodes", namespace=""), reader())
    assert node is not None
    assert node["spec"]["taints"] == [taint]
    again = run(attributes(node, "nodes", namespace=""), reader())
    assert again is not None
    assert again["spec"]["taints"] == [taint]


def test_newest_default_storage_class_is_used_and_claims_are_protected() -> None:
    def storage_class(name: str, created: str) -> Object:
        annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
        return named(name, metadata={"annotations": annotations, "creationTimestamp": created})

    classes = [storage_class("old", "2025-01-01T00:00:00Z"), storage_class("new", "2026-01-01T00:00:00Z")]
    source = reader(storageclasses=classes)
    claim = run(attributes(named("c", "ns", spec={}), "persistentvolumeclaims"), source)
    assert claim is not None
    assert claim["spec"]["storageClassName"] == "new"
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    none = run(attributes(named("c", "ns", spec={"storageClassName": ""}), "persistentvolumeclaims"), source)
    assert none is not None
    assert none["spec"]["storageClassName"] == ""


def grown(by: str, phase: str = "Bound", **spec: Any) -> Attributes:
    def claim(size: str, **more: Any) -> Object:
        return named(
            "c", "ns", spec={"resources": {"requests": {"storage": size}}, **more}, status={"phase": phase}
        )

    return attributes(
        claim(by, storageClassName="fast", **spec),
        "persistentvolumeclaims",
        UPDATE,
        old=claim("1Gi", storageClassName="fast"),
    )


FAST = {"storageclasses": [named("fast", allowVolumeExpansion=True)]}
NOT_ALLOWED = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must"
)


@pytest.mark.parametrize(
    ("write", "classes", "text"),
    [
        (grown("2Gi", "Pending"), FAST, "Only bound persistent volume claims can be expanded"),
        (grown("2Gi"), {}, NOT_ALLOWED),
        (grown("2Gi"), {"storageclasses": [named("fast", allowVolumeExpansion=False)]}, NOT_ALLOWED),
        (grown("2Gi"), {"storageclasses": [named("fast")]}, NOT_ALLOWED),
    ],
)
def test_a_claim_grows_if_it_is_bound_and_its_class_allows_it(
    write: Attributes, classes: dict[str, list[Object]], text: str
) -> None:
    assert text in refused(write, reader(**classes)).message


@pytest.mark.parametrize(
    ("write", "classes"),
    [(grown("2Gi"), FAST), (grown("1024Mi"), {}), (grown("512Mi", "Pending"), {})],
)
def test_a_claim_that_may_grow_or_does_not(write: Attributes, classes: dict[str, list[Object]]) -> None:
    assert run(write, reader(**classes)) is write.obj


def test_default_ingress_class() -> None:
    default = named(
        "nginx", metadata={"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    )
    write = attributes(named("i", "ns", spec={}), "ingresses", group="networking.k8s.io")
    ingress = run(write, reader(ingressclasses=[default]))
    assert ingress is not None
    assert ingress["spec"]["ingressClassName"] == "nginx"


def test_runtime_class_overhead_and_scheduling() -> None:
    runtime = named(
        "kata",
        overhead={"podFixed": {"cpu": "10m"}},
        scheduling={"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm"}]},
    )
    source = reader(runtimeclasses=[runtime])
    spec = run(attributes(pod(runtimeClassName="kata")), source)["spec"]  # type: ignore[index]
    assert spec["overhead"] == {"cpu": "10m"}
    assert spec["nodeSelector"] == {"vm": "yes"}
    assert {"key": "vm"} in spec["tolerations"]
    clash = attributes(pod(runtimeClassName="kata", nodeSelector={"vm": "no"}))
    assert "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes" in refused(clash, source).message
    unknown = refused(attributes(pod(runtimeClassName="x")), source)
    assert unknown.message.endswith('pod rejected: RuntimeClass "x" not found')
