"""(P) Whether a remote APIService can be reached, as far as objects tell, and how that stands in its status.

Fed by the monitor with the Service and its EndpointSlices. What objects cannot tell is asked of the server itself.
Source: kube-aggregator ``pkg/controllers/status``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from apiserver.aggregator.service import AVAILABLE, Reference
from apiserver.api.conditions import set_condition
from apiserver.api.field_errors import quote

Object = Mapping[str, Any]


class Condition(NamedTuple):
    status: str
    reason: str
    message: str


LOCAL: Final = Condition("True", "Local", "Local APIServices are always available")
PASSED: Final = Condition("True", "Passed", "all checks passed")


def failed_discovery(message: str) -> Condition:
    return Condition("False", "FailedDiscoveryCheck", message)


def obstacle(reference: Reference, service: Object | None, slices: Sequence[Object]) -> Condition | None:
    """Why nobody needs to be asked. ``slices``: the EndpointSlices of the Service."""
    where = f"service/{reference.name} in {quote(reference.namespace)}"
    if service is None:
        return Condition("False", "ServiceNotFound", f"{where} is not present")
    spec = service.get("spec") or {}
    if (spec.get("type") or "ClusterIP") != "ClusterIP":
        return None
    port = next((port for port in spec.get("ports") or () if port.get("port") == reference.port), None)
    if port is None:
        return Condition("False", "ServicePortError", f"{where} is not listening on port {reference.port}")
    if not slices:
        return Condition("False", "EndpointsNotFound", f"cannot find endpointslices for {where}")
    name = port.get("name") or ""
    if not any(_serves(item, name) for item in slices):
        text = f"endpointslices for {where} have no addresses with port name {quote(name)}"
        return Condition("False", "MissingEndpoints", text)
    return None


def _serves(item: Object, port: str) -> bool:
    return any(map(is_ready, item.get("endpoints") or ())) and number_of(item, port) is not None


def is_ready(endpoint: Object) -> bool:
    """Nothing said means ready."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def number_of(item: Object, port: str) -> int | None:
    """The number of a port by its name."""
    numbers = (given.get("port") for given in item.get("ports") or () if (given.get("name") or "") == port)
    return next((number for number in numbers if number is not None), None)


def with_condition(obj: Object, condition: Condition, now: str) -> dict[str, Any] | None:
    """The APIService with the condition in its status; None if it says so already."""
    conditions = [dict(known) for known in (obj.get("status") or {}).get("conditions") or ()]
    new = {"type": AVAILABLE, **condition._asdict()}
    if not set_condition(conditions, new, now):
        return None
    return {**obj, "status": {**(obj.get("status") or {}), "conditions": conditions}}
