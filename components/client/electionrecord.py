"""The decisions of leader election (P): what to do about the Lease that was just read.

Shelled by `leaderelection`. Clocks of other machines are never trusted: a lease counts as held for its
duration after *we* last saw it change, by our own monotonic clock. As client-go's leaderelection.go.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime

from apiserver.api.meta import Object, format_micro_time


@dataclass(frozen=True)
class LeaseTerms:
    """Who asks for which lease; seconds."""

    namespace: str
    name: str
    identity: str
    duration: float


class Observation:
    """The lease as last read or written by us, and when (our clock) it last changed."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.seen_at = 0.0

    @property
    def holder(self) -> str:
        return ((self.lease or {}).get("spec") or {}).get("holderIdentity") or ""

    def read(self, lease: Object, now: float) -> None:
        """A lease came from the server; only a change of its spec restarts its time."""
        if self.lease is None or self.lease.get("spec") != lease.get("spec"):
            self.seen_at = now
        self.lease = lease

    def wrote(self, lease: Object, now: float) -> None:
        self.lease = lease
        self.seen_at = now

    def held_by_other(self, identity: str, now: float) -> bool:
        return bool(self.holder) and self.holder != identity and self.valid(now)

    def valid(self, now: float) -> bool:
        """Whether the lease's own duration has not passed since it last changed."""
        if self.lease is None:
            return False
        duration = float((self.lease.get("spec") or {}).get("leaseDurationSeconds") or 0)
        return now < self.seen_at + duration


def new_lease(terms: LeaseTerms, wall: datetime) -> Object:
    stamp = format_micro_time(wall)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": terms.namespace, "name": terms.name},
        "spec": {
            "holderIdentity": terms.identity,
            "leaseDurationSeconds": max(round(terms.duration), 1),
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": 0,
        },
    }


def taken(lease: Object, terms: LeaseTerms, wall: datetime) -> Object:
    """`lease` renewed by us, or taken over from another holder; keeps its resourceVersion."""
    result = copy.deepcopy(lease)
    spec = result.setdefault("spec", {})
    stamp = format_micro_time(wall)
    if spec.get("holderIdentity") != terms.identity:
        spec["acquireTime"] = stamp
        spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
    spec["holderIdentity"] = terms.identity
    spec["leaseDurationSeconds"] = max(round(terms.duration), 1)
    spec["renewTime"] = stamp
    return result


def released(lease: Object, wall: datetime) -> Object:
    """`lease` given up: no holder, expires at once."""
    result = copy.deepcopy(lease)
    stamp = format_micro_time(wall)
    spec = result["spec"]
    spec.update(holderIdentity="", leaseDurationSeconds=1, renewTime=stamp, acquireTime=stamp)
    return result
