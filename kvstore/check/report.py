"""A verdict in words: one line if all is well, else what no order explains and which promise was broken."""

from __future__ import annotations

from collections.abc import Iterator

from kvstore.check.compare import describe_kv
from kvstore.check.history import (
    Call,
    Compact,
    Delete,
    Grant,
    KeepAlive,
    Put,
    Range,
    Request,
    Result,
    Revoke,
    Txn,
)
from kvstore.check.search import Window
from kvstore.check.verdict import Verdict

SHOWN = 10
MILLISECOND = 1_000_000


def report(verdict: Verdict, *, origin: int = 0) -> str:
    """`origin`: the time that is shown as 0 (the first call's)."""
    lines = [_summary(verdict)]
    if verdict.window is not None:
        lines += window_lines(verdict.window, origin)
    lines += [f"watch {v.watch} is not {v.rule}: {v.text}" for v in verdict.violations[:SHOWN]]
    lines += [f"stale read: {describe(r.call)}: {r.reason}" for r in verdict.stale_reads[:SHOWN]]
    more = len(verdict.violations) + len(verdict.stale_reads) - len(lines)
    if more > SHOWN:
        lines.append(
            f"... and more: {len(verdict.violations)} of watches, {len(verdict.stale_reads)} stale reads"
        )
    return "\n".join(lines)


def window_lines(window: Window, origin: int = 0) -> Iterator[str]:
    yield f"No order explains these calls. The furthest one ends at revision {window.revision} with:"
    yield from (f"    {text}" for text in window.expected)
    yield "after, among others:"
    yield from (f"    {timed(call, origin)}" for call in window.recent)
    yield "and cannot go on with any of:"
    for item in window.blocked:
        yield f"    {timed(item.call, origin)}"
        yield f"        {item.reason}"


def timed(call: Call, origin: int) -> str:
    start = (call.call - origin) / MILLISECOND
    end = "..." if call.returned is None else f"{(call.returned - origin) / MILLISECOND:.1f}"
    return f"[{start:.1f} .. {end} ms] client {call.client}: {describe(call)}"


def describe(call: Call) -> str:
    """The request and its answer in one line."""
    if call.outcome == "unknown":
        return f"{describe_request(call.request)} -> unknown ({call.error or 'no answer'})"
    if call.outcome == "error":
        return f"{describe_request(call.request)} -> {call.error}"
    return f"{describe_request(call.request)} -> {_answer(call.result or Result())}"


def describe_request(request: Request) -> str:
    match request:
        case Put():
            return f"put {request.key!r} = {request.value!r}" + (
                f" lease {request.lease}" if request.lease else ""
            )
        case Range():
            at = f" at {request.revision}" if request.revision else ""
            return f"{'serializable ' if request.serializable else ''}get {_keys(request.key, request.range_end)}{at}"
        case Delete():
            return f"delete {_keys(request.key, request.range_end)}"
        case Txn():
            conditions = " and ".join(f"{c.target} of {c.key!r} {c.result} {c.to!r}" for c in request.compare)
            success = "; ".join(map(describe_request, request.success))
            failure = "; ".join(map(describe_request, request.failure))
            return f"txn if {conditions or 'true'} then [{success}] else [{failure}]"
        case Compact():
            return f"compact to {request.revision}"
        case Grant():
            return f"grant lease {request.lease} for {request.ttl} s"
        case Revoke():
            return f"revoke lease {request.lease}"
        case KeepAlive():
            return f"keep lease {request.lease} alive"
    return type(request).__name__


def _keys(key: str, end: str) -> str:
    return f"{key!r}" + (f" .. {end!r}" if end else "")


def _answer(result: Result) -> str:
    parts = [] if result.revision is None else [f"revision {result.revision}"]
    for name in ("succeeded", "count", "deleted", "ttl"):
        if (value := getattr(result, name)) is not None:
            parts.append(f"{name} {value}")
    parts += [describe_kv(kv) for kv in result.kvs or ()]
    parts += [f"before: {describe_kv(kv)}" for kv in result.prev_kvs or ()]
    parts += [f"[{_answer(response)}]" for response in result.responses or ()]
    return ", ".join(parts) or "ok"


def _summary(verdict: Verdict) -> str:
    counts = (
        f"{verdict.calls} calls ({verdict.unknown} of unknown outcome), {verdict.events} watch events, "
        f"revision {verdict.last_revision}"
    )
    if verdict.passed:
        return f"PASS: {counts}: linearizable, every watch kept its promises"
    found = []
    if verdict.linearizable is False:
        found.append("not linearizable")
    if verdict.linearizable is None:
        found.append(f"no order found in {verdict.steps} steps (undecided)")
    if verdict.violations:
        found.append(f"{len(verdict.violations)} violations of watch promises")
    if verdict.stale_reads:
        found.append(f"{len(verdict.stale_reads)} wrong serializable reads")
    return f"FAIL: {counts}: {', '.join(found)}"
