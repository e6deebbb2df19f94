"""Node health (P): conditions of silent nodes, taints by condition, when pods must leave.

Source: nodelifecycle/node_lifecycle_controller.go, tainteviction/taint_eviction.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from apiserver.api import meta
from apiserver.api.conditions import get_condition
from apiserver.api.meta import Object
from components.controllers.common.objects import spec, status, time_of

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_MANAGED = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()}
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class Zone(Enum):
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


@dataclass(frozen=True)
class Seen:
    """What was last seen of a node, and when by our own clock: the node's clock is not trusted."""

    lease: str
    heartbeat: str
    at: datetime


def observe(node: Object, lease: Object | None, before: Seen | None, now: datetime) -> Seen:
    renewed = str(spec(lease or {}).get("renewTime") or "")
    beat = str((get_condition(node, "Ready") or {}).get("lastHeartbeatTime") or "")
    if before is not None and (before.lease, before.heartbeat) == (renewed, beat):
        return before
    return Seen(renewed, beat, now)


def is_silent(node: Object, seen: Seen, now: datetime, grace: float, startup_grace: float) -> bool:
    """A node that never reported has the longer start-up grace, from its creation."""
    if get_condition(node, "Ready") is None:
        created = time_of(meta.metadata(node).get("creationTimestamp")) or seen.at
        return now > created + timedelta(seconds=startup_grace)
    return now > seen.at + timedelta(seconds=grace)


def unknown_conditions(node: Object, now: datetime) -> list[Object] | None:
    """The conditions of a silent node; None if they say so already."""
    conditions = [dict(c) for c in status(node).get("conditions") or ()]
    stamp = meta.format_time(now)
    changed = False
    for kind in _WATCHED:
        current = next((c for c in conditions if c.get("type") == kind), None)
        if current is None:
            created = meta.metadata(node).get("creationTimestamp") or stamp
            conditions.append(_never_updated(kind, created, stamp))
            changed = True
        elif current.get("status") != "Unknown":
            current.update(
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=stamp,
            )
            changed = True
    return conditions if changed else None


def _never_updated(kind: str, created: str, stamp: str) -> Object:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": "NodeStatusNeverUpdated",
        "message": "Kubelet never posted node status.",
        "lastHeartbeatTime": created,
        "lastTransitionTime": stamp,
    }


def ready_status(node: Object) -> str:
    return str((get_condition(node, "Ready") or {}).get("status") or "Unknown")


def taints(node: Object, now: datetime, *, may_evict: bool, all_down: bool) -> list[Object] | None:
    """The taints the node should have, others' kept; None if it has them.

    `may_evict` allows new NoExecute taints; those already there stay while their reason lasts, unless every
    node is down (`all_down`): then the fault is likelier ours, and no pod is to be evicted for it.
    """
    current = spec(node).get("taints") or []
    wanted = _by_condition(node)
    evicting = _evicting_key(node)
    held = any((t["key"], t["effect"]) == (evicting, "NoExecute") for t in current)
    if evicting and not all_down and (may_evict or held):
        wanted.append((evicting, "NoExecute"))
    kept = [t for t in current if not _is_managed(t) or (t["key"], t["effect"]) in wanted]
    have = {(t["key"], t["effect"]) for t in kept}
    stamp = meta.format_time(now)
    added = [{"key": k, "effect": e, "timeAdded": stamp} for k, e in wanted if (k, e) not in have]
    return [*kept, *added] if added or len(kept) != len(current) else None


def _is_managed(taint: Object) -> bool:
    evicting = taint["key"] in (NOT_READY, UNREACHABLE) and taint["effect"] == "NoExecute"
    return evicting or (taint["key"] in _MANAGED and taint["effect"] == "NoSchedule")


def _by_condition(node: Object) -> list[tuple[str, str]]:
    keys = [_PRESSURE[c["type"]] for c in status(node).get("conditions") or () if _under_pressure(c)]
    if _evicting_key(node):
        keys.append(_evicting_key(node))
    if spec(node).get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    return [(key, "NoSchedule") for key in keys]


def _under_pressure(condition: Object) -> bool:
    return condition.get("type") in _PRESSURE and condition.get("status") == "True"


def _evicting_key(node: Object) -> str:
    condition = get_condition(node, "Ready")
    if condition is None:
        return ""
    return {"False": NOT_READY, "Unknown": UNREACHABLE}.get(condition.get("status") or "", "")


def needs_eviction_taint(node: Object) -> bool:
    key = _evicting_key(node)
    have = {(t["key"], t["effect"]) for t in spec(node).get("taints") or ()}
    return bool(key) and (key, "NoExecute") not in have


def zone_of(node: Object) -> str:
    labels = meta.labels(node)
    return (
        f"{labels.get('topology.kubernetes.io/region', '')}:{labels.get('topology.kubernetes.io/zone', '')}"
    )


def zone_states(nodes: Iterable[Object], unhealthy_threshold: float) -> dict[str, Zone]:
    ready: dict[str, list[bool]] = {}
    for node in nodes:
        ready.setdefault(zone_of(node), []).append(ready_status(node) == "True")
    return {zone: _zone_state(flags, unhealthy_threshold) for zone, flags in ready.items()}


def _zone_state(ready: list[bool], threshold: float) -> Zone:
    bad = ready.count(False)
    if bad and bad == len(ready):
        return Zone.FULL
    return Zone.PARTIAL if bad > 2 and bad / len(ready) >= threshold else Zone.NORMAL


def all_zones_down(states: Mapping[str, Zone]) -> bool:
    return all(state is Zone.FULL for state in states.values())


def eviction_rate(
    zone: str, states: Mapping[str, Zone], size: int, normal: float, secondary: float, large: int
) -> float:
    """Nodes per second that may be tainted for eviction; 0 when the fault may be ours, not the nodes'."""
    if all_zones_down(states):
        return 0.0
    if states[zone] is Zone.PARTIAL:
        return secondary if size > large else 0.0
    return normal


def evict_at(pod: Object, node_taints: Iterable[Object], now: datetime) -> datetime | None:
    """When the pod must leave because of NoExecute taints; None if it may stay."""
    moments = []
    for taint in node_taints:
        if taint.get("effect") != "NoExecute":
            continue
        matching = [t for t in spec(pod).get("tolerations") or () if tolerates(t, taint)]
        seconds = [t["tolerationSeconds"] for t in matching if t.get("tolerationSeconds") is not None]
        if not matching:
            return now
        if seconds:
            start = time_of(taint.get("timeAdded")) or now
            moments.append(start + timedelta(seconds=max(min(seconds), 0)))
    return min(moments, default=None)


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")
