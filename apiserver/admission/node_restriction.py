"""NodeRestriction: a kubelet writes its own Node, Lease and CSINode, and what concerns the pods bound to it.

What kubelets may read is the node authorizer's. Source: ``plugin/pkg/admission/noderestriction``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Final

from apiserver.admission.interface import CREATE, DELETE, UPDATE, Attributes, Plugin, Reader
from apiserver.api import certificate_requests, errors, meta
from apiserver.api.field_errors import quote
from apiserver.api.gvk import GroupResource, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.auth import node_rules, pod_references

PODS: Final = GroupVersionResource("", "v1", "pods")
NODES: Final = GroupVersionResource("", "v1", "nodes")
MIRROR: Final = "kubernetes.io/config.mirror"
_RESTRICTED: Final = "node-restriction.kubernetes.io"
_OWN_LABELS: Final = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
    }
)
_OWN_LABEL_DOMAINS: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
_NODE_SIGNERS: Final = frozenset({certificate_requests.KUBELET_CLIENT, certificate_requests.KUBELET_SERVING})
_CLAIM_STATUS: Final = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")


class NodeRestriction(Plugin):
    name = "NodeRestriction"

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        node = node_rules.node_of(attributes.user)
        if node is None:
            return
        if not node:
            raise attributes.forbidden(f"could not determine node from user {quote(attributes.user.name)}")
        check = _CHECKS.get(attributes.group_resource)
        if check is not None:
            await check(node, attributes, reader)

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        """Only here a delete shows what is deleted: the node authorizer does not see that of a collection."""
        node = node_rules.node_of(attributes.user)
        if node is None or not attributes.is_on("resource.k8s.io", "resourceslices", DELETE):
            return
        if attributes.old is not None and _node_of(attributes.old) != node:
            text = "can only delete ResourceSlice with the same NodeName as the requesting node"
            raise attributes.forbidden(text)


# ---- pods


async def _pod(node: str, write: Attributes, reader: Reader) -> None:
    part = write.subresource
    if part == "status":
        _pod_status(node, write)
    elif part == "eviction":
        await _bound(node, write, reader, f"node {node} can only evict pods with spec.nodeName set to itself")
    elif part:
        text = f"unexpected pod subresource {quote(part)}, only 'status' and 'eviction' are allowed"
        raise write.forbidden(text)
    elif write.operation == CREATE:
        await _mirror_pod(node, write, reader)
    elif write.operation == DELETE:
        text = f"node {quote(node)} can only delete pods with spec.nodeName set to itself"
        await _bound(node, write, reader, text)
    else:
        text = f'unexpected operation "{write.operation}", node {quote(node)} can only create and delete mirror pods'
        raise write.forbidden(text)


async def _bound(node: str, write: Attributes, reader: Reader, refusal: str) -> None:
    """Raises unless the pod is bound to the node."""
    pod = await _find(reader, PODS, write.namespace, write.name)
    if _node_of(pod) != node:
        raise write.forbidden(refusal)


async def _find(reader: Reader, gvr: GroupVersionResource, namespace: str, name: str) -> Object:
    """The cache may be behind what the kubelet has seen. Raises 404."""
    found = await reader.get(gvr, namespace, name) or await reader.get(gvr, namespace, name, fresh=True)
    if found is None:
        raise errors.not_found(gvr.group_resource, name)
    return found


def _node_of(pod: Object) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""


def _pod_status(node: str, write: Attributes) -> None:
    old, new = write.old, write.obj
    if write.operation != UPDATE or old is None or new is None:
        raise write.forbidden(f'unexpected operation "{write.operation}"')
    if _node_of(old) != node:
        text = f"node {quote(node)} can only update pod status for pods with spec.nodeName set to itself"
        raise write.forbidden(text)
    if meta.labels(old) != meta.labels(new):
        raise write.forbidden(f"node {quote(node)} cannot update labels through pod status")
    if _claim_statuses(old) != _claim_statuses(new):
        raise write.forbidden(f"node {quote(node)} cannot update resource claim statues")


def _claim_statuses(pod: Object) -> list[tuple[str, str | None]]:
    listed = (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    return [(item.get("name") or "", item.get("resourceClaimName")) for item in listed]


async def _mirror_pod(node: str, write: Attributes, reader: Reader) -> None:
    pod = write.obj
    assert pod is not None
    if MIRROR not in meta.annotations(pod):
        text = f'pod does not have "{MIRROR}" annotation, node {quote(node)} can only create mirror pods'
        raise write.forbidden(text)
    if _node_of(pod) != node:
        raise write.forbidden(f"node {quote(node)} can only create pods with spec.nodeName set to itself")
    await _mirror_owner(node, write, meta.owner_references(pod), reader)
    named = _referenced(pod)
    if named:
        raise write.forbidden(f"node {quote(node)} can not create pods that reference {named}")


async def _mirror_owner(node: str, write: Attributes, owners: list[Object], reader: Reader) -> None:
    start = f"node {quote(node)} can only create pods with "
    if len(owners) > 1:
        raise write.forbidden(start + "a single owner reference set to itself")
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        raise write.forbidden(start + "an owner reference set to itself")
    if not owner.get("controller"):
        raise write.forbidden(start + "a controller owner reference set to itself")
    if owner.get("blockOwnerDeletion"):
        raise write.forbidden(f"node {quote(node)} must not set blockOwnerDeletion on an owner reference")
    known = await _find(reader, NODES, "", node)
    if owner.get("uid") != meta.uid(known):
        text = f"node {node} UID mismatch: expected {owner.get('uid') or ''} got {meta.uid(known)}"
        raise write.forbidden(text)


def _referenced(pod: Object) -> str:
    """The kind of API object that a mirror pod names though it must not, empty if none."""
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        return "a service account"
    if any(pod_references.secret_names(spec)):
        return "secrets"
    if any(pod_references.config_map_names(spec)):
        return "configmaps"
    volumes = spec.get("volumes") or ()
    for volume in volumes:
        if any("clusterTrustBundle" in s for s in (volume.get("projected") or {}).get("sources") or ()):
            return "clustertrustbundles"
    if any(volume.get("persistentVolumeClaim") for volume in volumes):
        return "persistentvolumeclaims"
    return "resourceclaims" if spec.get("resourceClaims") else ""


# ---- nodes


async def _node(node: str, write: Attributes, reader: Reader) -> None:
    if write.name != node:
        raise write.forbidden(f"node {quote(node)} is not allowed to modify node {quote(write.name)}")
    if write.operation == CREATE:
        _new_node(node, write)
    elif write.operation == UPDATE:
        _changed_node(node, write)


def _new_node(node: str, write: Attributes) -> None:
    assert write.obj is not None
    if (write.obj.get("spec") or {}).get("configSource") is not None:
        raise write.forbidden(f"node {quote(node)} is not allowed to create pods with a non-nil configSource")
    bad = _forbidden_labels(meta.labels(write.obj), {})
    if bad:
        raise write.forbidden(
            f"node {quote(node)} is not allowed to set the following labels: {', '.join(bad)}"
        )


def _changed_node(node: str, write: Attributes) -> None:
    assert write.obj is not None
    assert write.old is not None
    new, old = (obj.get("spec") or {} for obj in (write.obj, write.old))
    source = new.get("configSource")
    if source is not None and source != old.get("configSource"):
        text = f"node {quote(node)} is not allowed to update configSource to a new non-nil configSource"
        raise write.forbidden(text)
    if (new.get("taints") or []) != (old.get("taints") or []):
        raise write.forbidden(f"node {quote(node)} is not allowed to modify taints")
    bad = _forbidden_labels(meta.labels(write.obj), meta.labels(write.old))
    if bad:
        raise write.forbidden(f"is not allowed to modify labels: {', '.join(bad)}")


def _forbidden_labels(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Labels that differ and are not the kubelet's to set: they would let it steer pods to itself."""
    changed = {key for key in {*new, *old} if new.get(key) != old.get(key) or (key in new) != (key in old)}
    return sorted(key for key in changed if _is_forbidden(key))


def _is_forbidden(label: str) -> bool:
    domain, slash, _ = label.partition("/")
    if not slash:
        return False
    if _within(domain, _RESTRICTED):
        return True
    ours = any(_within(domain, parent) for parent in ("kubernetes.io", "k8s.io"))
    return ours and label not in _OWN_LABELS and not any(_within(domain, own) for own in _OWN_LABEL_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)


# ---- others


async def _claim(node: str, write: Attributes, reader: Reader) -> None:
    if write.subresource != "status":
        raise write.forbidden("may only update PVC status")
    if write.operation != UPDATE or write.old is None or write.obj is None:
        raise write.forbidden(f'unexpected operation "{write.operation}"')
    if _without_own_fields(write.old) != _without_own_fields(write.obj):
        text = f"node {quote(node)} is not allowed to update fields other than status.capacity and status.conditions"
        raise write.forbidden(text)


def _without_own_fields(claim: Object) -> Object:
    rest = deepcopy(claim)
    for key in ("resourceVersion", "managedFields"):
        rest["metadata"].pop(key, None)
    for key in _CLAIM_STATUS:
        (rest.get("status") or {}).pop(key, None)
    return rest


async def _account(node: str, write: Attributes, reader: Reader) -> None:
    """A token must be bound to a pod of the node."""
    if write.operation != CREATE or write.subresource != "token" or write.obj is None:
        return
    ref = (write.obj.get("spec") or {}).get("boundObjectRef") or {}
    if (ref.get("apiVersion"), ref.get("kind")) != ("v1", "Pod") or not ref.get("name"):
        raise write.forbidden("node requested token not bound to a pod")
    if not ref.get("uid"):
        raise write.forbidden("node requested token with a pod binding without a uid")
    pod = await _find(reader, PODS, write.namespace, ref["name"])
    if ref["uid"] != meta.uid(pod):
        raise write.forbidden(
            f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    if _node_of(pod) != node:
        raise write.forbidden("node requested token bound to a pod scheduled on a different node")


async def _lease(node: str, write: Attributes, reader: Reader) -> None:
    if write.namespace != node_rules.NODE_LEASES:
        raise write.forbidden(f'can only access leases in the "{node_rules.NODE_LEASES}" system namespace')
    _own_name(node, write, "node lease")


async def _csi_node(node: str, write: Attributes, reader: Reader) -> None:
    _own_name(node, write, "CSINode")


def _own_name(node: str, write: Attributes, what: str) -> None:
    name = meta.name(write.obj) if write.operation == CREATE and write.obj is not None else write.name
    if name != node:
        raise write.forbidden(f"can only access {what} with the same name as the requesting node")


async def _slice(node: str, write: Attributes, reader: Reader) -> None:
    if write.operation == CREATE and write.obj is not None and _node_of(write.obj) != node:
        raise write.forbidden("can only create ResourceSlice with the same NodeName as the requesting node")


async def _certificate_request(node: str, write: Attributes, reader: Reader) -> None:
    """A kubelet asks for certificates in its own name alone."""
    if write.operation != CREATE or write.obj is None:
        return
    if (write.obj.get("spec") or {}).get("signerName") not in _NODE_SIGNERS:
        return
    try:
        asked = certificate_requests.read(write.obj)
    except certificate_requests.BadRequest as fault:
        raise write.forbidden(str(fault)) from None
    if asked.common_name != write.user.name:
        raise write.forbidden(f"can only create a node CSR with CN={write.user.name}")


Check = Callable[[str, Attributes, Reader], Awaitable[None]]
_CHECKS: Final[dict[GroupResource, Check]] = {
    GroupResource("", "pods"): _pod,
    GroupResource("", "nodes"): _node,
    GroupResource("", "persistentvolumeclaims"): _claim,
    GroupResource("", "serviceaccounts"): _account,
    GroupResource("coordination.k8s.io", "leases"): _lease,
    GroupResource("storage.k8s.io", "csinodes"): _csi_node,
    GroupResource("resource.k8s.io", "resourceslices"): _slice,
    GroupResource("certificates.k8s.io", "certificatesigningrequests"): _certificate_request,
}
