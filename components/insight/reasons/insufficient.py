"""No node has enough of a resource left for the pod."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_terminal, pod_requests
from apiserver.api.quantity import ZERO, Quantity, parse_quantity
from components.insight.reasons.messages import verdict
from components.insight.situation import Fact, Finding, Situation

_PREFIX = "Insufficient "
_TOO_MANY = "Too many pods"


def find(situation: Situation) -> list[Finding]:
    told = verdict(situation)
    if told is None:
        return []
    short = told.matching(_PREFIX, _TOO_MANY)
    if not short:
        return []
    names = [reason.removeprefix(_PREFIX) for reason in short if reason.startswith(_PREFIX)]
    facts = [_shortage(situation, name, told.evidence, told.since) for name in names]
    if any(reason.startswith(_TOO_MANY) for reason in short):
        facts.append(
            Fact("Some nodes have as many pods as they may.", told.evidence, told.since, "Add a node.")
        )
    facts.append(Fact(f"The scheduler says: {told.message}", told.evidence, told.since))
    what = " and ".join(names) or "room for another pod"
    everywhere = sum(short.values()) >= told.nodes and len(told.reasons) == len(short)
    where = "no node has" if everywhere else "no node that it may use has"
    return [Finding(facts, f"{situation.title} is Pending: {where} enough {what} left.", 70)]


def _shortage(situation: Situation, name: str, evidence: str, since: str) -> Fact:
    asked = pod_requests(situation.obj).get(name, ZERO)
    free = _free(situation.of("Node"), situation.of("Pod"), name)
    text = f"It asks for {asked} {name}"
    if free:
        best = max(free, key=lambda node: free[node])
        text += f"; the most that a node has left is {free[best]} ({best})"
        if all(_allocatable(node, name) < asked for node in situation.of("Node")):
            text += ", and no node has so much at all"
    remedy = f"Ask for less (spec.containers[].resources.requests.{name}), delete other pods, or add a node."
    return Fact(text + ".", evidence, since, remedy)


def _allocatable(node: Object, name: str) -> Quantity:
    return parse_quantity(str(((node.get("status") or {}).get("allocatable") or {}).get(name, "0")))


def _free(nodes: list[Object], pods: list[Object], name: str) -> dict[str, Quantity]:
    """What each node has left."""
    left = {meta.name(node): _allocatable(node, name) for node in nodes}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if node in left and not is_pod_terminal(pod):
            left[node] = left[node] - pod_requests(pod).get(name, ZERO)
    return left
