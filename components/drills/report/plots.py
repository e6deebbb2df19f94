"""A run as plots over time (P): faults, leader, latency, errors, watch lag, requests; inline SVG, no scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from components.drills import measure
from components.drills.observed import BILLION, Moment, Observed
from components.drills.report.outcome import leaders
from kvstore.check.history import Range

WIDTH, LEFT, RIGHT = 960, 112, 12
LANE, PLOT = 26, 96
MOST = 4000
"""Dots of one plot: of more, every second, third ... is drawn (all of those that failed)."""
Dot = tuple[float, float, str, str]
"""(time, value, class, hint)"""


def drawing(seen: Observed) -> str:
    """All plots, one below the other, on one axis of time."""
    span = max(seen.end, 0.1)
    parts: list[str] = []
    top = 4.0
    for draw in (_faults, _leaders, *(_latency(kind) for kind in seen.histories), _errors, _lag, _requests):
        part, height = draw(seen, span, top)
        parts.append(part)
        top += height
    axis = "".join(_tick(time, span, top) for time in _ticks(span))
    height = top + 22
    return (
        f"<svg viewBox='0 0 {WIDTH} {height:.0f}' role='img' aria-label='timeline of the run'>"
        f"{_bands(seen, span, top)}{''.join(parts)}{axis}</svg>"
    )


Drawn = tuple[str, float]


def _x(time: float, span: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(max(time, 0.0), span) / span


def _ticks(span: float) -> list[float]:
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120) if span / s <= 12), 300)
    return [float(step * n) for n in range(int(span / step) + 1)]


def _tick(time: float, span: float, top: float) -> str:
    x = _x(time, span)
    return (
        f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='0' y2='{top:.0f}'/>"
        f"<text x='{x:.1f}' y='{top + 15:.0f}' text-anchor='middle'>{time:g} s</text>"
    )


def intervals(seen: Observed) -> list[tuple[Moment, float]]:
    """Each fault with the time of its end."""
    ends = {moment.step: moment.time for moment in seen.moments if moment.kind == "undone"}
    return [(m, max(ends.get(m.step, seen.end), m.time)) for m in seen.moments if m.kind == "fault"]


def _bands(seen: Observed, span: float, height: float) -> str:
    return "".join(
        f"<rect class='band' x='{_x(moment.time, span):.1f}' y='0' height='{height:.0f}' "
        f"width='{max(_x(end, span) - _x(moment.time, span), 1):.1f}'/>"
        for moment, end in intervals(seen)
    )


def _faults(seen: Observed, span: float, top: float) -> Drawn:
    found = intervals(seen)
    bars = []
    for lane, (moment, end) in enumerate(found):
        x, y = _x(moment.time, span), top + lane * LANE
        width = max(_x(end, span) - x, 3.0)
        side = "end" if x > WIDTH * 0.6 else "start"
        at = x - 5 if side == "end" else x + 4
        bars.append(
            f"<rect class='fault' x='{x:.1f}' y='{y + 4:.1f}' width='{width:.1f}' height='{LANE - 9}' rx='3'/>"
            f"<text x='{at:.1f}' y='{y + 17:.1f}' text-anchor='{side}'>{escape(moment.text)}</text>"
        )
    height = max(len(found), 1) * LANE + 6
    return _label("faults", top + 17) + "".join(bars), height


def _leaders(seen: Observed, span: float, top: float) -> Drawn:
    found = leaders(seen)
    ends = [entry["time"] for entry in found[1:]] + [seen.end]
    bars = []
    for entry, end in zip(found, ends, strict=True):
        x = _x(entry["time"], span)
        width = max(_x(end, span) - x, 1.0)
        kind = "leader" if entry["leader"] else "nobody"
        text = f"{entry['leader']} · {entry['term']}" if width > 60 and entry["leader"] else ""
        hint = f"{entry['leader'] or 'nobody'} leads at term {entry['term']} from {entry['time']:.1f} s on"
        bars.append(
            f"<g><title>{escape(hint)}</title><rect class='{kind}' x='{x:.1f}' y='{top + 4:.1f}' "
            f"width='{width:.1f}' height='{LANE - 9}' rx='3'/>"
            f"<text x='{x + 4:.1f}' y='{top + 17:.1f}'>{escape(text)}</text></g>"
        )
    return _label("leader", top + 17) + "".join(bars), LANE + 8


def _latency(kind: str) -> Callable[[Observed, float, float], Drawn]:
    def draw(seen: Observed, span: float, top: float) -> Drawn:
        dots: list[Dot] = []
        for call in seen.histories[kind].calls:
            if call.returned is None:
                continue
            took = (call.returned - call.call) / BILLION
            verb = "read" if isinstance(call.request, Range) else "write"
            good = call.outcome == "ok"
            hint = f"{verb} at {call.endpoint}: {1000 * took:.0f} ms {call.error[:120]}"
            dots.append((seen.seconds(call.returned), took, verb if good else "error", hint))
        return _plot(f"{kind}: answer", dots, span, top)

    return draw


def _errors(seen: Observed, span: float, top: float) -> Drawn:
    """Operations without an answer, in each tenth of a second."""
    counts: dict[int, int] = {}
    for history in seen.histories.values():
        for call in history.calls:
            if call.outcome != "ok" and call.returned is not None:
                slot = int(seen.seconds(call.returned) * 10)
                counts[slot] = counts.get(slot, 0) + 1
    most = max(counts.values(), default=0)
    bars = "".join(
        f"<rect class='error' x='{_x(slot / 10, span):.1f}' width='3' "
        f"y='{top + 4 + 40 * (1 - count / most):.1f}' height='{40 * count / most:.1f}'>"
        f"<title>{count} failed at {slot / 10:.1f} s</title></rect>"
        for slot, count in sorted(counts.items())
    )
    return _label("errors", top + 17, f"0 to {most} / 0.1 s") + bars, 52


def _lag(seen: Observed, span: float, top: float) -> Drawn:
    dots = [
        (time, lag, "lag", f"{kind}: {1000 * lag:.0f} ms after the answer")
        for kind, history in seen.histories.items()
        for time, lag in measure.lags(seen, history)
    ]
    return _plot("watch lag", dots, span, top)


def _requests(seen: Observed, span: float, top: float) -> Drawn:
    if not seen.requests:
        return "", 0.0
    dots = [
        (r.time, r.seconds, "error" if r.error else "read", r.error or f"{r.pod}: {1000 * r.seconds:.0f} ms")
        for r in seen.requests
    ]
    return _plot("service", dots, span, top)


def _plot(name: str, dots: Sequence[Dot], span: float, top: float) -> Drawn:
    """Dots over time; the scale's end is the highest value."""
    most = max((value for _, value, _, _ in dots), default=0.0) or 0.001
    drawn = "".join(
        f"<circle class='{kind}' cx='{_x(time, span):.1f}' cy='{top + 6 + (PLOT - 18) * (1 - value / most):.1f}' "
        f"r='{2.4 if kind == 'error' else 1.6}'><title>{escape(f'{time:.2f} s: {hint}')}</title></circle>"
        for time, value, kind, hint in thinned(dots)
    )
    base = top + PLOT - 12
    line = f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{base:.0f}' y2='{base:.0f}'/>"
    return _label(name, top + 17, f"0 to {_duration(most)}") + line + drawn, float(PLOT)


def thinned(dots: Sequence[Dot]) -> Iterable[Dot]:
    """Not too many to look at; what failed stays."""
    every = -(-len(dots) // MOST) or 1
    return (dot for number, dot in enumerate(dots) if number % every == 0 or dot[2] == "error")


def _duration(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def _label(text: str, y: float, below: str = "") -> str:
    more = f"<text class='dim' x='4' y='{y + 14:.0f}'>{escape(below)}</text>" if below else ""
    return f"<text class='name' x='4' y='{y:.0f}'>{escape(text)}</text>{more}"
