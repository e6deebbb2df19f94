"""HorizontalPodAutoscaler, stored as v2 and served as v2 and v1.

What v1 cannot express travels in annotations of the v1 object, as the original does.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import codec, meta
from apiserver.api.field_errors import FieldError
from apiserver.registry.kinds.autoscaling_v1 import metric_from_v1, metric_to_v1
from apiserver.registry.strategy import Object, Strategy, fill

_V1: Final = "autoscaling/v1"
_METRICS: Final = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR: Final = "autoscaling.alpha.kubernetes.io/behavior"
_CONDITIONS: Final = "autoscaling.alpha.kubernetes.io/conditions"
_CURRENT: Final = "autoscaling.alpha.kubernetes.io/current-metrics"
_DEFAULT_UTILIZATION: Final = 80
_SCALE_UP: Final[dict[str, Any]] = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"}
_SCALE_DOWN: Final[dict[str, Any]] = {"selectPolicy": "Max"}


def _cpu(utilization: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _is_plain_cpu(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return (
        metric.get("type") == "Resource" and resource.get("name") == "cpu" and "averageUtilization" in target
    )


class HorizontalPodAutoscalerStrategy(Strategy):
    has_status = True
    initial_status = {"desiredReplicas": 0, "currentMetrics": None}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, minReplicas=1)
        if obj.get("apiVersion") == _V1:
            if _METRICS not in meta.annotations(obj):
                fill(spec, targetCPUUtilizationPercentage=_DEFAULT_UTILIZATION)
            return
        if not spec.get("metrics"):
            spec["metrics"] = [_cpu(_DEFAULT_UTILIZATION)]
        behavior = spec.get("behavior")
        if behavior:
            _default_behavior(behavior)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        if obj.get("apiVersion") == _V1:
            obj["status"] = {"currentReplicas": 0, "desiredReplicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        return super().validate(self._v2(obj))

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return super().validate_update(self._v2(new), self._v2(old))

    def _v2(self, obj: Object) -> Object:
        return self.from_version(obj, obj.get("apiVersion") or "")

    def from_version(self, obj: Object, group_version: str) -> Object:
        return _from_v1(obj) if group_version == _V1 else obj

    def to_version(self, obj: Object, group_version: str) -> Object:
        return _to_v1(obj) if group_version == _V1 else obj


def _default_behavior(behavior: Object) -> None:
    up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
    fill(up, **_SCALE_UP)
    fill(down, **_SCALE_DOWN)
    fill(
        up,
        policies=[
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    )
    fill(down, policies=[{"type": "Percent", "value": 100, "periodSeconds": 15}])


def _from_v1(obj: Object) -> Object:
    metadata, spec, status = dict(obj["metadata"]), dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(metadata.get("annotations") or {})
    metrics = [metric_from_v1(metric) for metric in _take(annotations, _METRICS) or ()]
    utilization = spec.pop("targetCPUUtilizationPercentage", None)
    if utilization is not None:
        metrics = [*metrics, _cpu(utilization)]
    if metrics:
        spec["metrics"] = metrics
    behavior = _take(annotations, _BEHAVIOR)
    if behavior:
        spec["behavior"] = behavior
    for key, field in ((_CONDITIONS, "conditions"), (_CURRENT, "currentMetrics")):
        value = _take(annotations, key)
        if value:
            status[field] = value
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    status = {"desiredReplicas": 0, "currentMetrics": None, **status}
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _take(annotations: dict[str, str], key: str) -> Any:
    text = annotations.pop(key, None)
    try:
        return codec.decode(text) if text else None
    except codec.DecodeError:
        return None


def _to_v1(obj: Object) -> Object:
    metadata, spec, status = dict(obj["metadata"]), dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(metadata.get("annotations") or {})
    others = []
    for metric in spec.pop("metrics", None) or ():
        if _is_plain_cpu(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric_to_v1(metric))
    extra = {
        _METRICS: others,
        _BEHAVIOR: spec.pop("behavior", None),
        _CONDITIONS: status.pop("conditions", None),
        _CURRENT: status.pop("currentMetrics", None),
    }
    annotations.update({key: codec.dumps(value).decode() for key, value in extra.items() if value})
    if annotations:
        metadata["annotations"] = annotations
    status = {"currentReplicas": 0, "desiredReplicas": 0, **status}
    return {**obj, "apiVersion": _V1, "metadata": metadata, "spec": spec, "status": status}
