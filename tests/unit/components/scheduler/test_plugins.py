"""Each plugin by table: which nodes it rejects and why, how it ranks them, what wakes its pods."""

from __future__ import annotations

import random
from typing import Any

import pytest

from components.scheduler.algorithm import nodes_to_find
from components.scheduler.cache import Cache
from components.scheduler.diagnosis import fit_error
from components.scheduler.framework import SKIP, ClusterEvent, EventKind, node_info_of
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.plugins.balancedallocation import BalancedAllocation
from components.scheduler.plugins.interpodaffinity import InterPodAffinity
from components.scheduler.plugins.leastallocated import LeastAllocated
from components.scheduler.plugins.nodeaffinity import NodeAffinity
from components.scheduler.plugins.nodename import NodeName
from components.scheduler.plugins.nodeports import NodePorts
from components.scheduler.plugins.noderesourcesfit import NodeResourcesFit
from components.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from components.scheduler.plugins.podtopologyspread import PodTopologySpread
from components.scheduler.plugins.tainttoleration import TaintToleration
from components.scheduler.podinfo import PodInfo
from components.scheduler.profile import default_profile

Object = dict[str, Any]
GI = 1024**3


def node(
    name: str = "n", labels: Object | None = None, allocatable: Object | None = None, **spec: Any
) -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110", **(allocatable or {})}},
    }


def pod(
    name: str = "p", requests: Object | None = None, labels: Object | None = None, **spec: Any
) -> PodInfo:
    container: Object = {"name": "c", "resources": {"requests": requests or {}}}
    return PodInfo(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name, "labels": labels or {}},
            "spec": {"containers": [container], **spec},
        }
    )


def info(obj: Object, *pods: PodInfo) -> NodeInfo:
    result = node_info_of(obj)
    for each in pods:
        result.add_pod(each)
    return result


def rejects(plugin: Any, subject: PodInfo, *nodes: NodeInfo) -> list[tuple[str, ...]]:
    """The reasons per node; () for a node that is possible."""
    state = plugin.pre_filter(subject, list(nodes))
    if state is SKIP:
        return [()] * len(nodes)
    found = [plugin.filter(state, subject, n) for n in nodes]
    return [rejection.reasons if rejection else () for rejection in found]


def scores(plugin: Any, subject: PodInfo, *nodes: NodeInfo) -> list[int]:
    state = plugin.pre_score(subject, list(nodes), list(nodes))
    if state is SKIP:
        return [0] * len(nodes)
    raw = [plugin.score(state, subject, n) for n in nodes]
    return [int(score) for score in plugin.normalize(state, raw, list(nodes))]


@pytest.mark.parametrize(
    ("requests", "reasons"),
    [
        ({}, ()),
        ({"cpu": "1", "memory": "4Gi"}, ()),
        ({"cpu": "1001m"}, ("Insufficient cpu",)),
        ({"cpu": "2", "memory": "5Gi"}, ("Insufficient cpu", "Insufficient memory")),
        ({"example.com/gpu": "1"}, ("Insufficient example.com/gpu",)),
        ({"ephemeral-storage": "1Gi"}, ("Insufficient ephemeral-storage",)),
        ({"cpu": "0"}, ()),
    ],
)
def test_fit_by_requests(requests: Object, reasons: tuple[str, ...]) -> None:
    target = info(node(), pod("other", {"cpu": "3", "memory": "4Gi"}))
    assert rejects(NodeResourcesFit(), pod(requests=requests), target) == [reasons]


def test_fit_counts_pods_init_containers_and_overhead() -> None:
    full = info(node(allocatable={"pods": "1"}), pod("other"))
    assert rejects(NodeResourcesFit(), pod(), full) == [("Too many pods",)]
    init = [{"name": "i", "resources": {"requests": {"cpu": "5"}}}]
    assert rejects(NodeResourcesFit(), pod(initContainers=init), info(node())) == [("Insufficient cpu",)]
    heavy = pod(requests={"cpu": "3900m"}, overhead={"cpu": "200m"})
    assert rejects(NodeResourcesFit(), heavy, info(node())) == [("Insufficient cpu",)]


def test_fit_knows_what_preemption_could_never_solve() -> None:
    plugin = NodeResourcesFit()
    busy = info(node(), pod("other", {"cpu": "3"}))
    for cpu, unresolvable in (("2", False), ("5", True)):
        subject = pod(requests={"cpu": cpu})
        rejection = plugin.filter(plugin.pre_filter(subject, [busy]), subject, busy)
        assert rejection is not None
        assert rejection.unresolvable is unresolvable


def test_node_name() -> None:
    reason = ("node(s) didn't match the requested node name",)
    assert rejects(NodeName(), pod(nodeName="a"), info(node("a")), info(node("b"))) == [(), reason]
    assert rejects(NodeName(), pod(), info(node("a"))) == [()]


def test_cordoned_node() -> None:
    cordoned = info(node(unschedulable=True))
    tolerant = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert rejects(NodeUnschedulable(), pod(), cordoned) == [("node(s) were unschedulable",)]
    assert rejects(NodeUnschedulable(), tolerant, cordoned) == [()]


@pytest.mark.parametrize(
    ("toleration", "allowed"),
    [
        (None, False),
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints(toleration: Object | None, allowed: bool) -> None:
    tainted = info(node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]))
    subject = pod(tolerations=[toleration] if toleration else [])
    reasons = () if allowed else ("node(s) had untolerated taint {k: v}",)
    assert rejects(TaintToleration(), subject, tainted) == [reasons]


def test_prefer_no_schedule_only_ranks() -> None:
    disliked = info(node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]))
    assert rejects(TaintToleration(), pod(), disliked) == [()]
    assert scores(TaintToleration(), pod(), disliked, info(node("b"))) == [0, 100]


def required(*expressions: Object, field: str = "matchExpressions") -> Object:
    terms = {"nodeSelectorTerms": [{field: list(expressions)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


@pytest.mark.parametrize(
    ("operator", "values", "allowed"),
    [
        ("In", ["5", "6"], True),
        ("In", ["6"], False),
        ("NotIn", ["6"], True),
        ("NotIn", ["5"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
        ("Gt", ["4"], True),
        ("Gt", ["5"], False),
        ("Lt", ["6"], True),
        ("Lt", ["x"], False),
    ],
)
def test_node_affinity_operators(operator: str, values: list[str], allowed: bool) -> None:
    subject = pod(affinity=required({"key": "size", "operator": operator, "values": values}))
    reasons = () if allowed else ("node(s) didn't match Pod's node affinity/selector",)
    assert rejects(NodeAffinity(), subject, info(node(labels={"size": "5"}))) == [reasons]


def test_node_selector_fields_and_preferences() -> None:
    ssd, hdd = info(node("a", {"disk": "ssd"})), info(node("b", {"disk": "hdd"}))
    reason = ("node(s) didn't match Pod's node affinity/selector",)
    assert rejects(NodeAffinity(), pod(nodeSelector={"disk": "ssd"}), ssd, hdd) == [(), reason]
    by_name = required({"key": "metadata.name", "operator": "In", "values": ["b"]}, field="matchFields")
    assert rejects(NodeAffinity(), pod(affinity=by_name), ssd, hdd) == [reason, ()]
    assert rejects(NodeAffinity(), pod(affinity=required()), ssd) == [reason]
    term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": term}]}
    assert scores(NodeAffinity(), pod(affinity={"nodeAffinity": wish}), ssd, hdd) == [100, 0]


@pytest.mark.parametrize(
    ("port", "free"),
    [
        ({"hostPort": 80}, False),
        ({"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 81}, True),
        ({"containerPort": 80}, True),
    ],
)
def test_host_ports(port: Object, free: bool) -> None:
    used = pod("other", containers=[{"name": "c", "ports": [{"hostPort": 80, "hostIP": "10.0.0.1"}]}])
    subject = pod(containers=[{"name": "c", "ports": [port]}])
    reasons = () if free else ("node(s) didn't have free ports for the requested pod ports",)
    assert rejects(NodePorts(), subject, info(node(), used)) == [reasons]


def test_least_allocated_prefers_the_emptier_node() -> None:
    half = info(node(), pod("other", {"cpu": "2", "memory": "4Gi"}))
    assert scores(LeastAllocated(), pod(requests={"cpu": "1", "memory": "2Gi"}), info(node()), half) == [
        75,
        25,
    ]
    # A pod without requests still counts as 100m and 200Mi.
    assert scores(LeastAllocated(), pod(), info(node(), *(pod(str(i)) for i in range(10)))) == [72]


def test_balanced_allocation_prefers_even_use() -> None:
    lopsided = info(node(), pod("other", {"cpu": "3"}))
    subject = pod(requests={"cpu": "1", "memory": "2Gi"})
    assert scores(BalancedAllocation(), subject, info(node()), lopsided) == [100, 62]


ZONE = "topology.kubernetes.io/zone"
APP = {"matchLabels": {"app": "web"}}


def spread(max_skew: int = 1, when: str = "DoNotSchedule", key: str = ZONE, **more: Any) -> list[Object]:
    return [
        {"maxSkew": max_skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": APP, **more}
    ]


def test_topology_spread_keeps_the_skew() -> None:
    web = {"app": "web"}
    east = info(node("a", {ZONE: "east"}), pod("1", labels=web))
    west = info(node("b", {ZONE: "west"}))
    bare = info(node("c"))
    subject = pod(labels=web, topologySpreadConstraints=spread())
    plugin = PodTopologySpread(lambda _: None)
    skewed = ("node(s) didn't match pod topology spread constraints",)
    missing = ("node(s) didn't match pod topology spread constraints (missing required label)",)
    assert rejects(plugin, subject, east, west, bare) == [skewed, (), missing]
    wide = pod(labels=web, topologySpreadConstraints=spread(2))
    assert rejects(plugin, wide, east, west) == [(), ()]
    # Fewer zones than minDomains: the emptiest counts as empty.
    many = pod(labels=web, topologySpreadConstraints=spread(minDomains=3))
    assert rejects(plugin, many, east) == [skewed]
    # Terminating pods do not count.
    leaving = PodInfo({**pod("1", labels=web).pod})
    leaving.pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    emptying = info(node("a", {ZONE: "east"}), PodInfo(leaving.pod))
    assert rejects(plugin, subject, emptying, west) == [(), ()]


def test_topology_spread_ranks_by_wish_and_by_workload() -> None:
    web = {"app": "web"}
    used, empty = info(node("a"), pod("1", labels=web), pod("2", labels=web)), info(node("b"))
    wish = spread(when="ScheduleAnyway", key="kubernetes.io/hostname")
    explicit = pod(labels=web, topologySpreadConstraints=wish)
    assert scores(PodTopologySpread(lambda _: None), explicit, used, empty) == [0, 100]
    by_workload = PodTopologySpread(lambda _: lambda labels: labels.get("app") == "web")
    ranked = scores(by_workload, pod(labels=web), used, empty)
    assert ranked[1] == 100 > ranked[0]
    assert scores(PodTopologySpread(lambda _: None), pod(labels=web), used, empty) == [0, 0]


def pod_affinity(kind: str, key: str = ZONE, **term: Any) -> Object:
    terms = [{"topologyKey": key, "labelSelector": APP, **term}]
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def test_pod_affinity_and_anti_affinity() -> None:
    web = {"app": "web"}
    east = info(node("a", {ZONE: "east"}), pod("1", labels=web))
    west = info(node("b", {ZONE: "west"}))
    plugin = InterPodAffinity(lambda _: {"team": "x"})
    near, away = pod(affinity=pod_affinity("podAffinity")), pod(affinity=pod_affinity("podAntiAffinity"))
    not_near = ("node(s) didn't match pod affinity rules",)
    not_away = ("node(s) didn't match pod anti-affinity rules",)
    existing = ("node(s) didn't satisfy existing pods anti-affinity rules",)
    assert rejects(plugin, near, east, west) == [(), not_near]
    assert rejects(plugin, away, east, west) == [not_away, ()]
    # The first of a group may start anywhere; others may not.
    assert rejects(plugin, near, west) == [not_near]
    assert rejects(plugin, pod(labels=web, affinity=pod_affinity("podAffinity")), west) == [()]
    # Running pods keep others away too.
    guarded = info(node("a", {ZONE: "east"}), pod("1", affinity=pod_affinity("podAntiAffinity")))
    assert rejects(plugin, pod(labels=web), guarded, west) == [existing, ()]
    # Other namespaces only where named or selected.
    other = PodInfo({"metadata": {"name": "o", "namespace": "else", "labels": web}, "spec": {}})
    foreign = info(node("a", {ZONE: "east"}), other)
    assert rejects(plugin, away, foreign) == [()]
    for scope in ({"namespaces": ["else"]}, {"namespaceSelector": {"matchLabels": {"team": "x"}}}):
        anywhere = pod(affinity=pod_affinity("podAntiAffinity", **scope))
        assert rejects(plugin, anywhere, foreign) == [not_away]


def test_preferred_pod_affinity_ranks() -> None:
    east = info(node("a", {ZONE: "east"}), pod("1", labels={"app": "web"}))
    west = info(node("b", {ZONE: "west"}))
    plugin = InterPodAffinity(lambda _: {})
    wish = [{"weight": 10, "podAffinityTerm": {"topologyKey": ZONE, "labelSelector": APP}}]
    section = {"preferredDuringSchedulingIgnoredDuringExecution": wish}
    assert scores(plugin, pod(affinity={"podAffinity": section}), east, west) == [100, 0]
    assert scores(plugin, pod(affinity={"podAntiAffinity": section}), east, west) == [0, 100]


def test_hints_wake_only_when_it_can_help() -> None:
    big, small = pod(requests={"cpu": "3"}), pod("s", requests={"cpu": "1"})
    fit = NodeResourcesFit()
    tiny = node_info_of(node(allocatable={"cpu": "2"}))
    grown = node_info_of(node(allocatable={"cpu": "4"}))
    assert not fit.hint(big, ClusterEvent(EventKind.NODE_ADD, node=tiny))
    assert fit.hint(small, ClusterEvent(EventKind.NODE_ADD, node=tiny))
    assert fit.hint(big, ClusterEvent(EventKind.NODE_UPDATE, node=grown, old_node=tiny))
    assert not fit.hint(big, ClusterEvent(EventKind.NODE_UPDATE, node=grown, old_node=grown))
    assert fit.hint(big, ClusterEvent(EventKind.POD_DELETE, pod=small))
    tainted = node_info_of(node(taints=[{"key": "k", "effect": "NoSchedule"}]))
    taints = TaintToleration()
    assert taints.hint(big, ClusterEvent(EventKind.NODE_UPDATE, node=grown, old_node=tainted))
    assert not taints.hint(big, ClusterEvent(EventKind.NODE_UPDATE, node=tainted, old_node=grown))
    assert not taints.hint(big, ClusterEvent(EventKind.POD_DELETE, pod=small))


def test_message_names_every_reason_and_is_honest_about_preemption() -> None:
    algorithm, _ = default_profile(lambda _: None, lambda _: {}, random.Random(1))
    cache = Cache()
    cache.set_node(node("a", unschedulable=True))
    cache.set_node(node("b", taints=[{"key": "k", "value": "v", "effect": "NoExecute"}]))
    cache.set_node(node("c"))
    cache.assume(pod("low", {"cpu": "3"}), "c")
    subject = pod(requests={"cpu": "2"}, priority=10)
    rejected: Any = algorithm.schedule(subject, cache.nodes)
    assert fit_error(subject, rejected, cache.nodes) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}, "
        "1 node(s) were unschedulable. preemption: 0/3 nodes are available: "
        "1 Pods of lower priority are not preempted by this scheduler, "
        "2 Preemption is not helpful for scheduling."
    )
    assert rejected.plugins == {"NodeResourcesFit", "TaintToleration", "NodeUnschedulable"}


def test_large_clusters_are_sampled_as_in_the_original() -> None:
    assert [nodes_to_find(n) for n in (10, 100, 1000, 5000, 6000)] == [10, 100, 420, 500, 300]
