"""What kubelets may write: tables after the original's tests, with its words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from apiserver.admission.interface import CREATE, DELETE, UPDATE, Attributes, Plugin
from apiserver.admission.node_restriction import MIRROR, NodeRestriction
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.auth import rbac
from apiserver.auth.user import User
from tests.unit.apiserver.admission.test_plugins import FakeReader
from tests.unit.components.controllers.test_certificates import KUBELET, OTHER, csr

KUBELET_USER = User("system:node:n1", ("system:nodes",))
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1", "controller": True}


def pod(node: str, **spec: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid"},
        "spec": {"nodeName": node, **spec},
    }


def mirror(owner: Object | None = OWNER, **spec: Any) -> Object:
    made = pod("n1", **spec)
    made["metadata"] |= {"annotations": {MIRROR: "x"}, "ownerReferences": [owner] if owner else []}
    return made


def node(name: str = "n1", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}, "uid": "u1"}, "spec": spec}


def write(
    operation: str,
    resource: str,
    obj: Object | None = None,
    old: Object | None = None,
    group: str = "",
    **more: Any,
) -> Attributes:
    resource, _, subresource = resource.partition("/")
    name = ((obj or old or {}).get("metadata") or {}).get("name", "p")
    return Attributes(
        operation=operation,
        gvr=GroupVersionResource(group, "v1", resource),
        gvk=GroupVersionKind(group, "v1", resource),
        namespace=more.pop("namespace", "ns"),
        name=more.pop("name", name),
        obj=obj,
        old=old,
        user=more.pop("user", KUBELET_USER),
        subresource=subresource,
    )


def refusal(attributes: Attributes, there: str = "n1", plugin: Plugin | None = None) -> str:
    """What the plugin says, without what it is about; empty if nothing. The stored pod is bound to `there`."""
    reader = FakeReader(pods=[pod(there)], nodes=[node()])

    async def both() -> None:
        chosen = plugin or NodeRestriction()
        await chosen.admit(attributes, reader)
        await chosen.validate(attributes, reader)

    try:
        asyncio.run(both())
    except StatusError as error:
        return error.message.partition(" is forbidden: ")[2] or error.message
    return ""


SET_TO_ITSELF = "spec.nodeName set to itself"


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (write(CREATE, "pods", mirror()), ""),
        (write(CREATE, "pods", pod("n1")),
         f'pod does not have "{MIRROR}" annotation, node "n1" can only create mirror pods'),
        (write(CREATE, "pods", mirror(nodeName="n2")), f'node "n1" can only create pods with {SET_TO_ITSELF}'),
        (write(CREATE, "pods", mirror(None)), 'node "n1" can only create pods with an owner reference set to itself'),
        (write(CREATE, "pods", mirror({**OWNER, "uid": "u2"})), "node n1 UID mismatch: expected u2 got u1"),
        (write(CREATE, "pods", mirror({**OWNER, "controller": False})),
         'node "n1" can only create pods with a controller owner reference set to itself'),
        (write(CREATE, "pods", mirror({**OWNER, "blockOwnerDeletion": True})),
         'node "n1" must not set blockOwnerDeletion on an owner reference'),
        (write(CREATE, "pods", mirror(serviceAccountName="x")),
         'node "n1" can not create pods that reference a service account'),
        (write(CREATE, "pods", mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}])),
         'node "n1" can not create pods that reference secrets'),
        (write(CREATE, "pods", mirror(containers=[{"envFrom": [{"configMapRef": {"name": "c"}}]}])),
         'node "n1" can not create pods that reference configmaps'),
        (write(CREATE, "pods", mirror(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])),
         'node "n1" can not create pods that reference persistentvolumeclaims'),
        (write(UPDATE, "pods", pod("n1"), pod("n1")),
         'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods'),
        (write(UPDATE, "pods/ephemeralcontainers", pod("n1"), pod("n1")),
         "unexpected pod subresource \"ephemeralcontainers\", only 'status' and 'eviction' are allowed"),
        (write(UPDATE, "pods/status", pod("n1"), pod("n1")), ""),
        (write(UPDATE, "pods/status", pod("n2"), pod("n2")),
         f'node "n1" can only update pod status for pods with {SET_TO_ITSELF}'),
        (write(UPDATE, "pods/status", {**pod("n1"), "metadata": {"labels": {"a": "b"}}}, pod("n1")),
         'node "n1" cannot update labels through pod status'),
        (write(DELETE, "pods"), ""),
        (write(CREATE, "pods/eviction", {}), ""),
        (write(CREATE, "nodes", node(labels={"kubernetes.io/os": "linux", "mine": "x"})), ""),
        (write(CREATE, "nodes", node("n2")), 'node "n1" is not allowed to modify node "n2"'),
        (write(CREATE, "nodes", node(labels={"node-role.kubernetes.io/master": "", "x.k8s.io/y": ""})),
         'node "n1" is not allowed to set the following labels: node-role.kubernetes.io/master, x.k8s.io/y'),
        (write(UPDATE, "nodes", node(labels={"a.kubelet.kubernetes.io/x": "y"}), node()), ""),
        (write(UPDATE, "nodes", node(), node(labels={"x.node-restriction.kubernetes.io/y": ""})),
         "is not allowed to modify labels: x.node-restriction.kubernetes.io/y"),
        (write(UPDATE, "nodes", node(), node(taints=[{"key": "a"}])), 'node "n1" is not allowed to modify taints'),
        (write(CREATE, "leases", node(), group="coordination.k8s.io", namespace="kube-node-lease"), ""),
        (write(CREATE, "leases", node("n2"), group="coordination.k8s.io", namespace="kube-node-lease"),
         "can only access node lease with the same name as the requesting node"),
        (write(CREATE, "csinodes", node("n2"), group="storage.k8s.io"),
         "can only access CSINode with the same name as the requesting node"),
        (write(UPDATE, "persistentvolumeclaims", node(), node()), "may only update PVC status"),
        (write(CREATE, "resourceslices", node(nodeName="n2"), group="resource.k8s.io"),
         "can only create ResourceSlice with the same NodeName as the requesting node"),
        (write(DELETE, "resourceslices", None, node(nodeName="n2"), group="resource.k8s.io"),
         "can only delete ResourceSlice with the same NodeName as the requesting node"),
        (write(CREATE, "certificatesigningrequests", csr(KUBELET), group="certificates.k8s.io"), ""),
        (write(CREATE, "certificatesigningrequests", csr(KUBELET, name="system:node:n2"), group="certificates.k8s.io"),
         "can only create a node CSR with CN=system:node:n1"),
        (write(CREATE, "pods", pod("n2"), user=User("alice")), ""),
        (write(CREATE, "nodes", node(), user=User("system:node:", ("system:nodes",))),
         'could not determine node from user "system:node:"'),
    ],
)  # fmt: skip
def test_kubelets_write_what_is_theirs(attributes: Attributes, text: str) -> None:
    assert refusal(attributes) == text


def test_pods_of_other_nodes_are_neither_deleted_nor_evicted() -> None:
    assert refusal(write(DELETE, "pods"), "n2") == f'node "n1" can only delete pods with {SET_TO_ITSELF}'
    assert (
        refusal(write(CREATE, "pods/eviction", {}), "n2")
        == f"node n1 can only evict pods with {SET_TO_ITSELF}"
    )
    assert refusal(write(DELETE, "pods", name="gone"), "n2") == 'pods "gone" not found'


BOUND = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pod-uid"}


@pytest.mark.parametrize(
    ("bound", "there", "text"),
    [
        (BOUND, "n1", ""),
        (BOUND, "n2", "node requested token bound to a pod scheduled on a different node"),
        (None, "n1", "node requested token not bound to a pod"),
        ({**BOUND, "kind": "Secret"}, "n1", "node requested token not bound to a pod"),
        ({**BOUND, "uid": ""}, "n1", "node requested token with a pod binding without a uid"),
        ({**BOUND, "uid": "x"}, "n1", "the UID in the bound object reference (x) does not match the UID in record. "
         "The object might have been deleted and then recreated"),
    ],
)  # fmt: skip
def test_tokens_only_for_pods_of_the_node(bound: Object | None, there: str, text: str) -> None:
    request = write(CREATE, "serviceaccounts/token", {"spec": {"boundObjectRef": bound}}, name="robot")
    assert refusal(request, there) == text


class Only:
    """Allows one verb on one signer."""

    def __init__(self, verb: str, name: str) -> None:
        self.right = (verb, name)

    async def decide(self, asked: rbac.Attributes) -> tuple[bool, str]:
        return (asked.verb, asked.name) == self.right and asked.resource == "signers", ""

    async def role_based(self, user: User, namespace: str) -> list[rbac.Rule]:
        return []

    async def role(self, kind: str, namespace: str, name: str) -> None:
        return None


SIGNER = "kubernetes.io/kube-apiserver-client"


@pytest.mark.parametrize(
    ("right", "part", "refused"),
    [
        (("approve", SIGNER), "approval", False),
        (("approve", "kubernetes.io/*"), "approval", False),
        (("approve", "kubernetes.io/kubelet-serving"), "approval", True),
        (("sign", SIGNER), "approval", True),
        (("sign", SIGNER), "status", False),
        (("approve", SIGNER), "status", True),
    ],
)
def test_deciding_needs_a_right_on_the_signer(right: tuple[str, str], part: str, refused: bool) -> None:
    old = csr(OTHER)
    new = {**old, "status": {"certificate": "x"}}
    update = write(
        UPDATE, f"certificatesigningrequests/{part}", new, old, "certificates.k8s.io", user=User("alice")
    )
    plugin = (CertificateApproval if part == "approval" else CertificateSigning)(Only(*right))
    verb = "approve" if part == "approval" else "sign"
    wanted = f'user not permitted to {verb} requests with signerName "{SIGNER}"' if refused else ""
    assert refusal(update, plugin=plugin) == wanted


def test_nobody_gets_a_certificate_of_the_masters() -> None:
    for groups, refused in ((("system:masters",), True), (("dev",), False)):
        create = write(
            CREATE, "certificatesigningrequests", csr(OTHER, "x", groups), group="certificates.k8s.io"
        )
        text = f"use of {SIGNER} signer with system:masters group is not allowed" if refused else ""
        assert refusal(create, plugin=CertificateSubjectRestriction()) == text
