"""Figures of a run (P): how long nothing was written or read, what is gone, how far watches lagged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from components.drills.condense import shown, wrote
from components.drills.eras import answered_after
from components.drills.observed import BILLION, Observed
from kvstore.check.history import Call, History, Put, Range, Txn

UNSENT = "Stream removed (GOAWAY received"
"""gRPC's words for a call that was never put on the wire, because the server had said that it ends: every client of
etcd sends it again by itself. Source: grpc/grpc ``chttp2_transport.cc`` (``maybe_start_some_streams``)."""
LEDGER = "l"
"""Keys of the ledger begin with the drill's prefix and this: each is written once and never again."""


def longest_gap(times: Iterable[float], begin: float, end: float) -> float:
    """The longest time in [begin, end] in which none of `times` lies."""
    inside = sorted(time for time in times if begin <= time <= end)
    return max((b - a for a, b in pairwise([begin, *inside, end])), default=0.0)


def outage(seen: Observed, *, reads: bool) -> float | None:
    """The longest time without a success, of whichever kind of client had it worst; None without clients."""
    gaps = [
        longest_gap(_successes(seen, history, reads=reads), seen.begin, seen.end)
        for history in seen.histories.values()
        if history.calls
    ]
    return max(gaps, default=None)


def _successes(seen: Observed, history: History, *, reads: bool) -> Iterator[float]:
    for call in history.calls:
        good = isinstance(call.request, Range) and call.outcome == "ok" if reads else wrote(call)
        if good and call.returned is not None:
            yield seen.seconds(call.returned)


def error_rate(seen: Observed) -> float | None:
    """The share of all operations that got no answer, or one that says try again."""
    calls = [call for history in seen.histories.values() for call in history.calls]
    return sum(call.outcome != "ok" for call in calls) / len(calls) if calls else None


def unretried(seen: Observed) -> int | None:
    """Failed calls that were the last word: through the one address the client has tried what may be tried again, as
    client-go does; a write to the store of unknown outcome is tried again by nobody, unless it was never sent.
    """
    found = [call for clients, history in seen.histories.items() for call in _final(seen, clients, history)]
    return sum(call.outcome != "ok" for call in found) if found else None


def _final(seen: Observed, clients: str, history: History) -> Iterator[Call]:
    for call in history.calls:
        if clients == "objects":
            last_word = call.endpoint == seen.address
        else:
            last_word = call.outcome != "error" and not call.error.startswith(UNSENT)
        if last_word:
            yield call


def lost_writes(seen: Observed) -> list[Call]:
    """Acknowledged writes of the ledger that the last read does not show; after a restore, of those in the backup."""
    return [call for history in seen.histories.values() for call in _lost(seen, history)]


def _lost(seen: Observed, history: History) -> list[Call]:
    last = last_list(history)
    if last is None:
        return []
    there = {kv.key for kv in (last.result.kvs if last.result else None) or ()}
    return [call for call in acknowledged(seen, history) if written_key(call) not in there]


def acknowledged(seen: Observed, history: History) -> Iterator[Call]:
    """Writes of the ledger that must not be lost."""
    for call in history.calls:
        key = written_key(call)
        if key.startswith(seen.prefix + LEDGER) and wrote(call) and promised(seen, call):
            yield call


def promised(seen: Observed, call: Call) -> bool:
    """Whether a restore has to keep what this call wrote."""
    if seen.restored is None or answered_after(call, seen.restored):
        return True
    revision = call.result.revision if call.result else None
    return revision is not None and revision <= seen.restored.revision


def written_key(call: Call) -> str:
    """The key that a compare-and-swap writes; empty for other requests."""
    if isinstance(call.request, Txn):
        return next((step.key for step in call.request.success if isinstance(step, Put)), "")
    return ""


def last_list(history: History) -> Call | None:
    """The last complete answer to a question for all keys."""
    lists = [c for c in history.calls if isinstance(c.request, Range) and c.request.range_end]
    return next((c for c in reversed(lists) if c.outcome == "ok"), None)


def leader_changes(seen: Observed) -> int | None:
    """How often another master was seen to lead, or the same one at a higher term."""
    led = [(sample.leader, sample.term) for sample in seen.samples if sample.leader]
    return sum(a != b for a, b in pairwise(led)) if led else None


def lost_pods(seen: Observed) -> int | None:
    """Pods that were there before and are gone, or had a container started again."""
    if not seen.pods_before:
        return None
    return sum(
        uid not in seen.pods_after or seen.pods_after[uid] > restarts
        for uid, restarts in seen.pods_before.items()
    )


def failed_requests(seen: Observed) -> int | None:
    return sum(bool(request.error) for request in seen.requests) if seen.requests else None


def lags(seen: Observed, history: History) -> list[tuple[float, float]]:
    """(when, seconds) from the acknowledgement of a write to its event, for each event that has one."""
    done = {
        call.result.revision: call.returned
        for call in history.calls
        if wrote(call) and call.result and call.result.revision and call.returned
    }
    found = []
    for told in history.watched:
        for event in told.events:
            if (returned := done.get(event.revision)) is not None:
                found.append((seen.seconds(told.time), max(0.0, (told.time - returned) / BILLION)))
    return sorted(found)


def watch_lag(seen: Observed) -> float | None:
    found = [lag for history in seen.histories.values() for _, lag in lags(seen, history)]
    return max(found, default=None)


def highest_revision(history: History) -> int:
    """The highest that any answer or event shows."""
    found = [call.result.revision or 0 for call in history.calls if call.result]
    found += [kv.mod or 0 for call in history.calls if call.result for kv in shown(call.result)]
    return max(found + [told.revision for told in history.watched], default=0)
