"""The status a ResourceQuota should have (P). Source: ``syncResourceQuota`` of resource_quota_controller.go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity
from apiserver.api.quota import amounts
from components.controllers.common.objects import spec, status


@dataclass(frozen=True)
class Books:
    """`quota` is the object to store, None if its status is right. `lowers`: it would free what was charged."""

    quota: Object | None
    lowers: bool = False


def balance(quota: Object, counted: Mapping[str, Quantity]) -> Books:
    """`counted`: usage by the names of ``spec.hard`` that something is known to count against."""
    hard = amounts.parse(spec(quota).get("hard"))
    recorded_hard, recorded = (amounts.parse(status(quota).get(key)) for key in ("hard", "used"))
    if hard == recorded_hard and dict(counted) == recorded:
        return Books(None)
    written = {"hard": amounts.write(hard), "used": amounts.write(counted)}
    lowers = any(name in recorded and amount < recorded[name] for name, amount in counted.items())
    return Books({**quota, "status": written}, lowers and hard == recorded_hard)
