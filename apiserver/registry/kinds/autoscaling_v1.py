"""Metrics of autoscaling/v2 in the older shape that the annotations of autoscaling/v1 objects carry."""

from __future__ import annotations

from typing import Any

from apiserver.registry.strategy import Object


def metric_to_v1(metric: Object) -> Object:
    """One MetricSpec of v2 as its v1 form."""
    kind = metric.get("type") or ""
    field = kind[:1].lower() + kind[1:]
    source = dict(metric.get(field) or {})
    target = source.pop("target", None) or {}
    name = source.pop("metric", None) or {}
    match kind:
        case "Resource" | "ContainerResource":
            source |= _present(
                targetAverageUtilization=target.get("averageUtilization"),
                targetAverageValue=target.get("averageValue"),
            )
        case "Pods":
            source = _present(
                metricName=name.get("name"),
                targetAverageValue=target.get("averageValue"),
                selector=name.get("selector"),
            )
        case "Object":
            source = _present(
                target=source.get("describedObject"),
                metricName=name.get("name"),
                targetValue=target.get("value") or "0",
                selector=name.get("selector"),
                averageValue=target.get("averageValue"),
            )
        case "External":
            source = _present(
                metricName=name.get("name"),
                metricSelector=name.get("selector"),
                targetValue=target.get("value"),
                targetAverageValue=target.get("averageValue"),
            )
    return {"type": kind, field: source}


def metric_from_v1(metric: Object) -> Object:
    """The inverse of :func:`metric_to_v1`."""
    kind = metric.get("type") or ""
    field = kind[:1].lower() + kind[1:]
    source = dict(metric.get(field) or {})
    utilization = source.pop("targetAverageUtilization", None)
    average = source.pop("targetAverageValue", None) or source.pop("averageValue", None)
    value = source.pop("targetValue", None)
    selector = source.pop("selector", None) or source.pop("metricSelector", None)
    result: Object = {}
    if kind == "Object":
        result["describedObject"] = source.pop("target", {})
    if "metricName" in source:
        result["metric"] = _present(name=source.pop("metricName"), selector=selector)
    result |= source
    result["target"] = _target(utilization, average, value)
    return {"type": kind, field: result}


def _target(utilization: Any, average: Any, value: Any) -> Object:
    if utilization is not None:
        return {"type": "Utilization", "averageUtilization": utilization}
    if average is not None:
        return {"type": "AverageValue", "averageValue": average}
    return {"type": "Value", "value": value}


def _present(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value is not None}
