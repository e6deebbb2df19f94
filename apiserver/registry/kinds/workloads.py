"""Workloads with a pod template: ReplicationController, ReplicaSet, Deployment, StatefulSet, DaemonSet,
PodTemplate.
"""

from __future__ import annotations

from typing import Any

from apiserver.api import go_int, meta
from apiserver.registry.kinds.pod_spec import default_template
from apiserver.registry.strategy import Object, Strategy, fill


class PodTemplateStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        default_template(obj.setdefault("template", {}))


class WorkloadStrategy(Strategy):
    """Spec with a template, status of its own, generation."""

    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        self.default_spec(spec)
        default_template(spec.setdefault("template", {}))

    def default_spec(self, spec: Object) -> None:
        raise NotImplementedError


class ReplicationControllerStrategy(WorkloadStrategy):
    initial_status = {"replicas": 0}

    def default(self, obj: Object) -> None:
        super().default(obj)
        labels = meta.labels(obj["spec"]["template"])
        if labels:
            if not obj["spec"].get("selector"):
                obj["spec"]["selector"] = dict(labels)
            if not meta.labels(obj):
                obj["metadata"]["labels"] = dict(labels)

    def default_spec(self, spec: Object) -> None:
        fill(spec, replicas=1)

    def select_fields(self, obj: Object) -> dict[str, str]:
        replicas = (obj.get("status") or {}).get("replicas", 0)
        return {**super().select_fields(obj), "status.replicas": str(replicas)}


class ReplicaSetStrategy(WorkloadStrategy):
    initial_status = {"replicas": 0}

    def default_spec(self, spec: Object) -> None:
        fill(spec, replicas=1)

    def select_fields(self, obj: Object) -> dict[str, str]:
        replicas = (obj.get("status") or {}).get("replicas", 0)
        return {**super().select_fields(obj), "status.replicas": str(replicas)}


class DeploymentStrategy(WorkloadStrategy):
    def default_spec(self, spec: Object) -> None:
        fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
        strategy = spec["strategy"]
        fill(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, rollingUpdate={})
            fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")

    def is_new_generation(self, new: Object, old: Object) -> bool:
        return super().is_new_generation(new, old) or meta.annotations(new) != meta.annotations(old)


class StatefulSetStrategy(WorkloadStrategy):
    initial_status = {"replicas": 0, "availableReplicas": 0}

    def default_spec(self, spec: Object) -> None:
        fill(
            spec,
            replicas=1,
            revisionHistoryLimit=10,
            podManagementPolicy="OrderedReady",
            updateStrategy={},
            persistentVolumeClaimRetentionPolicy={},
        )
        fill(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
        update = spec["updateStrategy"]
        fill(update, type="RollingUpdate")
        if update["type"] == "RollingUpdate":
            fill(update, rollingUpdate={})
            fill(update["rollingUpdate"], partition=0)
        for claim in spec.get("volumeClaimTemplates") or ():
            fill(claim, kind="PersistentVolumeClaim", apiVersion="v1")
            fill(claim.setdefault("spec", {}), volumeMode="Filesystem")
            claim["status"] = {**(claim.get("status") or {}), "phase": "Pending"}


class DaemonSetStrategy(WorkloadStrategy):
    initial_status = {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    }
    TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

    def default_spec(self, spec: Object) -> None:
        fill(spec, revisionHistoryLimit=10, updateStrategy={})
        update = spec["updateStrategy"]
        fill(update, type="RollingUpdate")
        if update["type"] == "RollingUpdate":
            fill(update, rollingUpdate={})
            fill(update["rollingUpdate"], maxUnavailable=1, maxSurge=0)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        self._set_template_generation(obj, 1)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        generation = _number(meta.annotations(old).get(self.TEMPLATE_GENERATION))
        changed = new["spec"].get("template") != old["spec"].get("template")
        self._set_template_generation(new, generation + 1 if changed else generation)

    def _set_template_generation(self, obj: Object, generation: int) -> None:
        annotations = obj["metadata"].setdefault("annotations", {})
        annotations[self.TEMPLATE_GENERATION] = str(generation)


def _number(text: Any) -> int:
    number = go_int.integer(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0
    return number if number < 2**63 else 0
