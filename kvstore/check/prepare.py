"""From a history to what the search has to order: what says nothing is left out, what time may do is added."""

from __future__ import annotations

from collections.abc import Iterable

from kvstore.check.history import (
    AnyRequest,
    Call,
    Delete,
    Grant,
    History,
    KeepAlive,
    Put,
    Range,
    Revoke,
    Txn,
    leases_of,
)
from kvstore.check.model import STATEFUL_ERRORS

SECOND = 1_000_000_000
NOBODY = -1
"""The client of what time did: a lease that ran out."""


def ordered_calls(history: History) -> list[Call]:
    """The calls an order has to explain, by their start."""
    referred = {
        lease for c in history.calls if not isinstance(c.request, Grant) for lease in leases_of(c.request)
    }
    kept = [call for call in history.calls if _says_something(call, referred, history.start.revision)]
    return sorted(kept + list(expiries(history)), key=lambda call: call.call)


def serializable_reads(history: History) -> list[Call]:
    return [c for c in history.calls if c.outcome == "ok" and _is_serializable(c.request)]


def expiries(history: History) -> Iterable[Call]:
    """One revocation of unknown outcome for every lease that may have run out while the history was recorded."""
    times = [call.returned or call.call for call in history.calls] + [r.time for r in history.watched]
    end = max(times, default=0)
    for lease, earliest in _earliest_end(history).items():
        if earliest <= end:
            yield Call(client=NOBODY, call=earliest, request=Revoke(lease=lease), outcome="unknown")


def _earliest_end(history: History) -> dict[int, int]:
    """A lease lives for its TTL from when it was granted or last renewed, and not before that was asked for."""
    ends = dict.fromkeys(history.start.leases, 0)
    for call in history.calls:
        request, ttl = call.request, (call.result.ttl if call.result else None)
        if isinstance(request, Grant) and call.outcome != "error":
            ends[request.lease] = call.call + (ttl or request.ttl) * SECOND
        elif isinstance(request, KeepAlive) and ttl and request.lease in ends:
            ends[request.lease] = max(ends[request.lease], call.call + ttl * SECOND)
    return ends


def _says_something(call: Call, referred: set[int], first_revision: int) -> bool:
    request = call.request
    if call.outcome == "error":
        return call.error in STATEFUL_ERRORS and not _is_serializable(request)
    if isinstance(request, Range) and 0 < request.revision < first_revision:
        return False  # what was stored then is not known
    if call.outcome == "ok":
        return not _is_serializable(request)
    if isinstance(request, Grant):
        return request.lease in referred
    if isinstance(request, Txn):
        return any(isinstance(s, Put | Delete) for s in (*request.success, *request.failure))
    return not isinstance(request, Range | KeepAlive)


def _is_serializable(request: AnyRequest) -> bool:
    return isinstance(request, Range) and request.serializable
