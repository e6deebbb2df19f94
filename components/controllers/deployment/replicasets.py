"""A Deployment's ReplicaSets: new, old, sizes, revisions, annotations (P). Source: deployment_util.go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver.api import meta
from apiserver.api.intstr import scaled_value
from apiserver.api.meta import Object
from components.controllers.common.objects import created_at, replicas, spec, status
from components.controllers.deployment.templates import HASH_LABEL, same_template, template_hash

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
_MAX_HISTORY = 2000  # characters


def is_rolling(deployment: Object) -> bool:
    return bool((spec(deployment).get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _fenceposts(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable), not both 0: then nothing could ever move."""
    rolling = (spec(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    total = replicas(deployment)
    surge = scaled_value(rolling.get("maxSurge", "25%"), total, round_up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), total, round_up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_surge(deployment: Object) -> int:
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(_fenceposts(deployment)[1], replicas(deployment))


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's template."""
    template = spec(deployment).get("template") or {}
    for candidate in oldest_first(sets):
        if same_template(spec(candidate).get("template") or {}, template):
            return candidate
    return None


def oldest_first(sets: Iterable[Object]) -> list[Object]:
    return sorted(sets, key=lambda rs: (created_at(rs), meta.name(rs)))


def active(sets: Iterable[Object]) -> list[Object]:
    return [rs for rs in sets if replicas(rs) > 0]


def wanted_total(sets: Iterable[Object]) -> int:
    return sum(replicas(rs) for rs in sets)


def status_total(sets: Iterable[Object], field: str) -> int:
    return sum(int(status(rs).get(field) or 0) for rs in sets)


def available(rs: Object) -> int:
    return int(status(rs).get("availableReplicas") or 0)


def revision(obj: Object) -> int:
    return _integer(meta.annotations(obj).get(REVISION)) or 0


def annotated(rs: Object, name: str) -> int | None:
    return _integer(meta.annotations(rs).get(name))


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def with_scale(rs: Object, size: int, deployment: Object) -> Object:
    """`rs` with another size and the annotations that record what the Deployment wanted then."""
    return _changed(rs, {**meta.annotations(rs), **replica_annotations(deployment)}, replicas=size)


def replica_annotations(deployment: Object) -> dict[str, str]:
    wanted = replicas(deployment)
    return {DESIRED_REPLICAS: str(wanted), MAX_REPLICAS: str(wanted + max_surge(deployment))}


def synced_new(rs: Object, deployment: Object, revision_number: int) -> Object:
    """The new ReplicaSet with the Deployment's annotations, its revision, and minReadySeconds."""
    annotations = _new_annotations(deployment, rs, revision_number)
    return _changed(rs, annotations, minReadySeconds=spec(deployment).get("minReadySeconds") or 0)


def _new_annotations(deployment: Object, rs: Object, revision_number: int) -> dict[str, str]:
    annotations = dict(meta.annotations(rs))
    annotations.update({k: v for k, v in meta.annotations(deployment).items() if k not in _NOT_COPIED})
    old = annotations.get(REVISION)
    if (_integer(old) or 0) < revision_number:
        annotations[REVISION] = str(revision_number)
        if old is not None:
            # It was the new one before: a rollback. Keep the numbers it had.
            annotations[REVISION_HISTORY] = _history(annotations.get(REVISION_HISTORY), old)
    return annotations


def _history(recorded: str | None, old: str) -> str:
    numbers = [*(recorded.split(",") if recorded else []), old]
    while len(",".join(numbers)) > _MAX_HISTORY:
        numbers.pop(0)
    return ",".join(numbers)


def _changed(rs: Object, annotations: dict[str, str], **fields: int) -> Object:
    """A copy with these annotations and spec fields; the very same object if nothing differs."""
    if annotations == meta.annotations(rs) and all((spec(rs).get(k) or 0) == v for k, v in fields.items()):
        return rs
    return {
        **rs,
        "metadata": {**meta.metadata(rs), "annotations": annotations},
        "spec": {**spec(rs), **fields},
    }


def new_replica_set(deployment: Object, others: Iterable[Object], revision_number: int) -> Object:
    """The ReplicaSet to create for the current template, sized for the first step of the rollout."""
    template = spec(deployment).get("template") or {}
    pod_hash = template_hash(template, status(deployment).get("collisionCount"))
    source = template.get("metadata") or {}
    labels = {**(source.get("labels") or {}), HASH_LABEL: pod_hash}
    selector: dict[str, Any] = dict(spec(deployment).get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: pod_hash}
    skeleton: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)}-{pod_hash}",
            "namespace": meta.namespace(deployment),
            "labels": labels,
            "annotations": replica_annotations(deployment),
            "ownerReferences": [meta.new_controller_ref(deployment, "apps/v1", "Deployment")],
        },
        "spec": {
            "replicas": 0,
            "selector": selector,
            "template": {**template, "metadata": {**source, "labels": labels}},
        },
    }
    skeleton["spec"]["replicas"] = new_size(deployment, [*others, skeleton], skeleton)
    return synced_new(skeleton, deployment, revision_number)


def new_size(deployment: Object, all_sets: Iterable[Object], new: Object) -> int:
    """How large the new ReplicaSet may be now without more than replicas + maxSurge pods in all."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - wanted_total(all_sets)
    if room <= 0:
        return replicas(new)
    return replicas(new) + min(room, wanted - replicas(new))
