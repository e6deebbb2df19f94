"""(P) The bounds of a LimitRange, and the original's words for each that is broken. Fed by `limit_ranger`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apiserver.api.meta import Object
from apiserver.api.pods import containers, init_containers, pod_limits, pod_requests
from apiserver.api.quantity import Quantity, parse_quantity

Amounts = Mapping[str, Quantity]
Check = Callable[[str, str, Quantity, Amounts, Amounts], str | None]


def pod_violations(pod: Object, limit_range: Object) -> list[str]:
    """Messages for the pod's containers and its total; empty when all is within bounds."""
    found: list[str] = []
    for item in _items(limit_range):
        if item.get("type") == "Container":
            for container in [*containers(pod), *init_containers(pod)]:
                resources = container.get("resources") or {}
                requests, limits = (_parse(resources.get(field)) for field in ("requests", "limits"))
                found += _check_all(item, "Container", requests, limits)
        elif item.get("type") == "Pod":
            found += _check_all(item, "Pod", pod_requests(pod), pod_limits(pod))
    return found


def claim_violations(claim: Object, limit_range: Object) -> list[str]:
    """Messages for the storage that a PersistentVolumeClaim asks for."""
    requests = _parse(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    found: list[str] = []
    for item in _items(limit_range):
        if item.get("type") == "PersistentVolumeClaim":
            for check, field in ((_minimum, "min"), (_maximum_request, "max")):
                found += _check(check, item, field, "PersistentVolumeClaim", requests, {})
    return found


def _items(limit_range: Object) -> list[Object]:
    return (limit_range.get("spec") or {}).get("limits") or []


def _parse(amounts: Mapping[str, Any] | None) -> dict[str, Quantity]:
    return {name: parse_quantity(value) for name, value in (amounts or {}).items()}


def _check_all(item: Object, kind: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for check, field in ((_minimum, "min"), (_maximum, "max"), (_ratio, "maxLimitRequestRatio")):
        yield from _check(check, item, field, kind, requests, limits)


def _check(
    check: Check, item: Object, field: str, kind: str, requests: Amounts, limits: Amounts
) -> Iterator[str]:
    for resource, bound in sorted(_parse(item.get(field)).items()):
        message = check(resource, kind, bound, requests, limits)
        if message:
            yield message


def _minimum(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str | None:
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        return f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    if request < bound:
        return f"minimum {name} usage per {kind} is {bound}, but request is {request}"
    if limit is not None and limit < bound:
        return f"minimum {name} usage per {kind} is {bound}, but limit is {limit}"
    return None


def _maximum(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str | None:
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        return f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    if bound < limit:
        return f"maximum {name} usage per {kind} is {bound}, but limit is {limit}"
    if request is not None and bound < request:
        return f"maximum {name} usage per {kind} is {bound}, but request is {request}"
    return None


def _maximum_request(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str | None:
    request = requests.get(name)
    if request is None:
        return f"maximum {name} usage per {kind} is {bound}.  No request is specified"
    if bound < request:
        return f"maximum {name} usage per {kind} is {bound}, but request is {request}"
    return None


def _ratio(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str | None:
    request, limit = requests.get(name), limits.get(name)
    start = f"{name} max limit to request ratio per {kind} is {bound}, but "
    if request is None or request.is_zero():
        return f"{start}no request is specified or request is 0"
    if limit is None or limit.is_zero():
        return f"{start}no limit is specified or limit is 0"
    observed = limit.milli_value() / request.milli_value()
    if observed > bound.milli_value() / 1000:
        return f"{start}provided ratio is {observed:f}"
    return None
