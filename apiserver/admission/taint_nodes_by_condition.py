"""TaintNodesByCondition: a new node starts not ready, so nothing is placed on it before it has reported."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader

TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """The node lifecycle controller takes the taint away once the node is Ready."""

    name = "TaintNodesByCondition"
    changes = {"nodes": ("spec/taints",)}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.obj is None or not attributes.is_on("", "nodes", CREATE):
            return
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any((t.get("key"), t.get("effect")) == (TAINT["key"], TAINT["effect"]) for t in taints):
            spec["taints"] = [*taints, dict(TAINT)]
