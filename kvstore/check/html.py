"""The failing window as one HTML file: a lane per client, a bar per call, what does not fit in red. No scripts."""

from __future__ import annotations

from html import escape

from kvstore.check.history import Call, History
from kvstore.check.prepare import NOBODY
from kvstore.check.report import describe, report, timed
from kvstore.check.search import Window
from kvstore.check.verdict import Verdict

WIDTH, LANE, BAR, LEFT = 1400, 30, 20, 90
MARGIN = 4
"""How many calls around the window are drawn besides its own, per client."""

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 24px; color: #1c2733; max-width: 1540px }
h1 { font-size: 20px } pre { background: #f4f6f8; padding: 12px; overflow-x: auto; border-radius: 6px }
.pass { color: #17692f } .fail { color: #b3261e }
svg { background: #fbfcfd; border: 1px solid #dde3e8; border-radius: 6px } svg text { font: 11px system-ui }
.ok rect { fill: #cfe3f5; stroke: #5b8db8 } .unknown rect { fill: #eee; stroke: #999; stroke-dasharray: 3 }
.recent rect { fill: #cdebd3; stroke: #3c8a50 } .blocked rect { fill: #f9d0cc; stroke: #b3261e }
"""


def page(history: History, verdict: Verdict) -> str:
    origin = min((call.call for call in history.calls), default=0)
    state = "pass" if verdict.passed else "fail"
    drawing = _drawing(history, verdict.window, origin) if verdict.window else ""
    return (
        f"<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'><title>kvstore check</title>"
        f"<style>{_STYLE}</style>\n<h1 class='{state}'>kvstore check: {state}</h1>\n"
        f"{drawing}\n<pre>{escape(report(verdict, origin=origin))}</pre>\n</html>\n"
    )


def _drawing(history: History, window: Window, origin: int) -> str:
    blocked = {id(item.call): item.reason for item in window.blocked}
    recent = {id(call) for call in window.recent}
    named = [*window.recent, *(item.call for item in window.blocked)]
    if not named:
        return ""
    shown = _around(history.calls, named)
    low = min(call.call for call in shown)
    high = max(max(call.returned or call.call for call in shown), low + 1)
    clients = sorted({call.client for call in shown})
    bars = []
    for call in shown:
        kind = "blocked" if id(call) in blocked else "recent" if id(call) in recent else call.outcome
        hint = timed(call, origin) + (f"\n{blocked[id(call)]}" if id(call) in blocked else "")
        end = call.returned if call.returned is not None else high
        bars.append(
            _bar(call, kind, hint, clients.index(call.client), _x(call.call, low, high), _x(end, low, high))
        )
    lanes = "".join(
        f"<text x='6' y='{number * LANE + 20}'>{'time' if client == NOBODY else f'client {client}'}</text>"
        for number, client in enumerate(clients)
    )
    height = len(clients) * LANE + 10
    return f"<svg width='{WIDTH + LEFT + 20}' height='{height}'>{lanes}{''.join(bars)}</svg>"


def _around(calls: tuple[Call, ...], named: list[Call]) -> list[Call]:
    """The named calls and, of each client, those that overlap them in time or are next to them."""
    low, high = min(c.call for c in named), max(c.returned or c.call for c in named)
    shown = {id(call): call for call in named}
    for client in {call.client for call in calls}:
        own = [call for call in calls if call.client == client and (call.returned or call.call) >= low]
        inside = [call for call in own if call.call <= high]
        shown.update((id(call), call) for call in inside[:MARGIN] + inside[-MARGIN:])
    return sorted(shown.values(), key=lambda call: call.call)


def _x(time: int, low: int, high: int) -> float:
    return LEFT + WIDTH * (max(low, min(time, high)) - low) / (high - low)


def _bar(call: Call, kind: str, hint: str, lane: int, start: float, end: float) -> str:
    width, top = max(end - start, 3.0), lane * LANE + 5
    label = escape(describe(call)[: max(0, int(width / 6))])
    return (
        f"<g class='{kind}'><title>{escape(hint)}</title>"
        f"<rect x='{start:.1f}' y='{top}' width='{width:.1f}' height='{BAR}' rx='3'/>"
        f"<text x='{start + 4:.1f}' y='{top + 14}'>{label}</text></g>"
    )
