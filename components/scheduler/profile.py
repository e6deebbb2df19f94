"""The default profile (P): which plugins run, in which order and with which weight.

Order and weights are those of the original's default configuration; the order decides which reason a
node that fails several filters is counted under.
"""

from __future__ import annotations

import random

from components.scheduler.algorithm import Algorithm, Weighted
from components.scheduler.framework import FilterPlugin
from components.scheduler.plugins.balancedallocation import BalancedAllocation
from components.scheduler.plugins.interpodaffinity import InterPodAffinity, NamespaceLabels
from components.scheduler.plugins.leastallocated import LeastAllocated
from components.scheduler.plugins.nodeaffinity import NodeAffinity
from components.scheduler.plugins.nodename import NodeName
from components.scheduler.plugins.nodeports import NodePorts
from components.scheduler.plugins.noderesourcesfit import NodeResourcesFit
from components.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from components.scheduler.plugins.podtopologyspread import PodTopologySpread, Workload
from components.scheduler.plugins.tainttoleration import TaintToleration


def default_profile(
    workload: Workload, namespace_labels: NamespaceLabels, rng: random.Random
) -> tuple[Algorithm, dict[str, FilterPlugin]]:
    """The algorithm, and its filters by name for the queue's hints."""
    taints, affinity = TaintToleration(), NodeAffinity()
    spread, near = PodTopologySpread(workload), InterPodAffinity(namespace_labels)
    filters: list[FilterPlugin] = [
        NodeUnschedulable(),
        NodeName(),
        taints,
        affinity,
        NodePorts(),
        NodeResourcesFit(),
        spread,
        near,
    ]
    scores = [
        Weighted(taints, 3),
        Weighted(affinity, 2),
        Weighted(spread, 2),
        Weighted(near, 2),
        Weighted(LeastAllocated(), 1),
        Weighted(BalancedAllocation(), 1),
    ]
    return Algorithm(filters, scores, rng), {plugin.name: plugin for plugin in filters}
