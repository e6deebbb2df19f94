"""Nodes: which requests are decided by themselves, and which objects belong to a node, against a naive twin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.auth import builtin_policy
from apiserver.auth.node_graph import NodeGraph
from apiserver.auth.node_rules import Asks, Outcome, decide, node_of
from apiserver.auth.rbac import Attributes, CompiledRule
from apiserver.auth.user import User

Object = dict[str, Any]
NODE = User("system:node:n1", ("system:nodes",))
RULES = tuple(CompiledRule(rule) for rule in builtin_policy.node_rules())
OWN = (("spec.nodeName", "n1"),)


def asked(verb: str, resource: str, group: str = "", **more: Any) -> Attributes:
    resource, _, subresource = resource.partition("/")
    return Attributes(NODE, verb, group, resource, subresource, **more)


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        (asked("get", "secrets", namespace="ns", name="s"), Asks("secrets", "ns", "s")),
        (asked("list", "secrets", namespace="ns"), "No Object name found"),
        (asked("list", "secrets"), "can only read namespaced object of this type"),
        (asked("delete", "secrets", namespace="ns", name="s"), "can only read resources of this type"),
        (asked("watch", "configmaps", namespace="ns", name="c"), Asks("configmaps", "ns", "c")),
        (asked("list", "persistentvolumes"), "can only get individual resources of this type"),
        (asked("patch", "persistentvolumeclaims/status", namespace="ns", name="c"),
         Asks("persistentvolumeclaims", "ns", "c")),
        (asked("create", "serviceaccounts/token", namespace="ns", name="a"), Asks("serviceaccounts", "ns", "a")),
        (asked("get", "serviceaccounts", namespace="ns", name="a"),
         "can only create tokens for individual service accounts"),
        (asked("get", "nodes", name="n1"), True),
        (asked("get", "nodes", name="n2"), "node 'n1' cannot read 'n2', only its own Node object"),
        (asked("list", "nodes"), "node 'n1' cannot read all nodes, only its own Node object"),
        (asked("patch", "nodes/status", name="n1"), True),
        (asked("delete", "nodes", name="n1"), False),
        (asked("get", "nodes/proxy", name="n1"), False),
        (asked("list", "pods", fields=OWN), True),
        (asked("list", "pods", fields=(("spec.nodeName", "n2"),)),
         "can only list/watch pods with spec.nodeName field selector"),
        (asked("get", "pods", namespace="ns", name="p"), Asks("pods", "ns", "p")),
        (asked("update", "pods/status", namespace="ns", name="p"), True),
        (asked("create", "pods/eviction", namespace="ns", name="p"), True),
        (asked("create", "pods/exec", namespace="ns", name="p"), False),
        (asked("update", "pods", namespace="ns", name="p"), False),
        (asked("update", "leases", "coordination.k8s.io", namespace="kube-node-lease", name="n1"), True),
        (asked("get", "leases", "coordination.k8s.io", namespace="kube-node-lease", name="n2"),
         "can only access node lease with the same name as the requesting node"),
        (asked("get", "leases", "coordination.k8s.io", namespace="kube-system", name="n1"),
         'can only access leases in the "kube-node-lease" system namespace'),
        (asked("delete", "csinodes", "storage.k8s.io", name="n2"),
         "can only access CSINode with the same name as the requesting node"),
        (asked("list", "resourceslices", "resource.k8s.io"),
         "can only list/watch/deletecollection resourceslices with nodeName field selector"),
        (asked("get", "resourceclaims", "resource.k8s.io", namespace="ns", name="c"),
         Asks("resourceclaims", "ns", "c")),
        (asked("create", "events", namespace="ns"), True),
        (asked("create", "certificatesigningrequests", "certificates.k8s.io"), True),
        (asked("create", "deployments", "apps", namespace="ns"), False),
        (Attributes(NODE, "get", path="/metrics"), False),
    ],
)  # fmt: skip
def test_decisions_that_need_no_graph(question: Attributes, outcome: Outcome) -> None:
    assert decide("n1", question, RULES) == outcome


def test_only_members_of_the_nodes_group_are_nodes() -> None:
    assert node_of(NODE) == "n1"
    assert node_of(User("system:node:n1")) is None
    assert node_of(User("alice", ("system:nodes",))) is None


SPEC: Object = {
    "nodeName": "n1",
    "serviceAccountName": "robot",
    "imagePullSecrets": [{"name": "pull"}],
    "containers": [
        {
            "env": [{"valueFrom": {"secretKeyRef": {"name": "key"}}}],
            "envFrom": [{"configMapRef": {"name": "all"}}],
        }
    ],
    "initContainers": [{"envFrom": [{"secretRef": {"name": "init"}}]}],
    "volumes": [
        {"name": "a", "secret": {"secretName": "mounted"}},
        {"name": "b", "configMap": {"name": "files"}},
        {
            "name": "c",
            "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "part"}}]},
        },
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {}},
        {"name": "f", "csi": {"nodePublishSecretRef": {"name": "csi"}}},
    ],
    "resourceClaims": [
        {"name": "gpu", "resourceClaimName": "named"},
        {"name": "nic", "resourceClaimTemplateName": "t"},
    ],
}
STATUS = {"resourceClaimStatuses": [{"name": "nic", "resourceClaimName": "made"}]}
NAMED = {
    "pods": ["p"],
    "serviceaccounts": ["robot"],
    "secrets": ["pull", "key", "init", "mounted", "projected", "csi"],
    "configmaps": ["all", "files", "part"],
    "persistentvolumeclaims": ["claim", "p-e"],
    "resourceclaims": ["named", "made"],
}


@pytest.mark.parametrize(
    ("resource", "name"), [(kind, name) for kind, names in NAMED.items() for name in names]
)
def test_everything_that_a_pod_names_belongs_to_its_node(resource: str, name: str) -> None:
    graph = NodeGraph()
    graph.put_pod({"metadata": {"namespace": "ns", "name": "p"}, "spec": SPEC, "status": STATUS})
    assert graph.leads(resource, "ns", name, "n1")
    assert not graph.leads(resource, "ns", name, "n2")
    assert not graph.leads(resource, "other", name, "n1")
    graph.remove_pod("ns/p")
    assert not graph.leads(resource, "ns", name, "n1")


def test_a_mirror_pod_leads_nowhere() -> None:
    graph = NodeGraph()
    metadata = {"namespace": "ns", "name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}
    graph.put_pod({"metadata": metadata, "spec": SPEC})
    assert graph.leads("pods", "ns", "p", "n1")
    assert not graph.leads("secrets", "ns", "mounted", "n1")


def test_a_volume_and_its_secrets_belong_to_the_nodes_that_use_its_claim() -> None:
    graph = NodeGraph()
    volume = {
        "metadata": {"name": "pv"},
        "spec": {
            "claimRef": {"namespace": "ns", "name": "claim"},
            "csi": {
                "nodeStageSecretRef": {"namespace": "sys", "name": "s"},
                "controllerPublishSecretRef": {"name": "no"},
            },
        },
    }
    graph.put_volume(volume)
    assert not graph.leads("persistentvolumes", "", "pv", "n1")
    graph.put_pod({"metadata": {"namespace": "ns", "name": "p"}, "spec": SPEC})
    assert graph.leads("persistentvolumes", "", "pv", "n1")
    assert graph.leads("secrets", "sys", "s", "n1")
    assert not graph.leads("secrets", "ns", "no", "n1")
    assert not graph.leads("secrets", "sys", "s", "n2")
    graph.remove_volume("pv")
    assert not graph.leads("secrets", "sys", "s", "n1")


PODS = st.builds(
    lambda name, node, secrets: {
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"nodeName": node, "imagePullSecrets": [{"name": secret} for secret in secrets]},
    },
    st.sampled_from("abc"),
    st.sampled_from(("", "n1", "n2")),
    st.lists(st.sampled_from("xyz"), max_size=2),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(PODS, st.booleans()), max_size=10))
def test_the_graph_after_any_changes_is_that_of_what_is_left(changes: list[tuple[Object, bool]]) -> None:
    graph, left = NodeGraph(), dict[str, Object]()
    for pod, gone in changes:
        key = f"ns/{pod['metadata']['name']}"
        graph.put_pod(pod)
        left[key] = pod
        if gone:
            graph.remove_pod(key)
            del left[key]
    for secret in "xyz":
        for node in ("n1", "n2"):
            naive = any(
                pod["spec"]["nodeName"] == node and {"name": secret} in pod["spec"]["imagePullSecrets"]
                for pod in left.values()
            )
            assert graph.leads("secrets", "ns", secret, node) == naive
