"""Situations for tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiserver.api.journal import ObjectRef, Record
from components.insight.explain import Explanation, explain
from components.insight.situation import Kind, Situation

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
EARLIER = "2026-01-01T11:59:00Z"
Object = dict[str, Any]

KINDS = {
    "Pod": Kind("", "v1", "pods", "Pod", True),
    "Service": Kind("", "v1", "services", "Service", True),
    "ConfigMap": Kind("", "v1", "configmaps", "ConfigMap", True),
    "PersistentVolumeClaim": Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    "Node": Kind("", "v1", "nodes", "Node", False),
    "Namespace": Kind("", "v1", "namespaces", "Namespace", False),
    "Deployment": Kind("apps", "v1", "deployments", "Deployment", True),
    "ReplicaSet": Kind("apps", "v1", "replicasets", "ReplicaSet", True),
    "Widget": Kind("example.com", "v1", "widgets", "Widget", True),
}


def situation(kind: str, obj: Object | None = None, **more: Any) -> Situation:
    namespace = "default" if KINDS[kind].namespaced else ""
    if obj is not None:
        metadata = {"name": "web", "uid": "u1", **({"namespace": namespace} if namespace else {})}
        obj = {**obj, "metadata": {**metadata, **obj.get("metadata", {})}}
    return Situation(KINDS[kind], namespace, "web", obj, NOW, **more)


def explained(kind: str, obj: Object | None = None, **more: Any) -> Explanation:
    return explain(situation(kind, obj, **more))


def texts(found: Explanation) -> str:
    return "\n".join(f"{fact.text} {fact.remedy or ''}" for fact in found.facts)


def unscheduled(message: str, **spec: Any) -> Object:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": EARLIER,
    }
    return {"spec": {"containers": [], **spec}, "status": {"phase": "Pending", "conditions": [condition]}}


def running(state: Object | None = None, *, node: str = "n1", **more: Any) -> Object:
    """A pod with one container in that state."""
    spec = {"name": "c", "image": "img:1", **more.pop("container", {})}
    status = {"name": "c", "state": state or {"running": {"startedAt": EARLIER}}, **more.pop("status", {})}
    return {
        "spec": {"nodeName": node, "containers": [spec], **more.pop("spec", {})},
        "status": {"phase": "Running", "containerStatuses": [status], **more},
    }


def node(name: str, *, cpu: str = "2", ready: str = "True", taints: list[Object] | None = None) -> Object:
    condition = {"type": "Ready", "status": ready, "message": "Kubelet stopped posting node status.",
                 "lastTransitionTime": EARLIER}  # fmt: skip
    return {
        "metadata": {"name": name},
        "spec": {"taints": taints or []},
        "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "110"}, "conditions": [condition]},
    }


def event(reason: str, message: str, **more: Any) -> Object:
    return {"reason": reason, "message": message, "lastTimestamp": EARLIER, "count": 3, **more}


def request(code: int, message: str = "", verb: str = "create", **more: Any) -> Record:
    detail = {"code": code, "message": message, "verb": verb, "user": "alice", "auditID": "a1", **more}
    return Record("2026-01-01T11:59:00.000000Z", "apiserver", "request", ObjectRef("pods"), "", detail)
