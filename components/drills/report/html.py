"""One page that holds everything (P): the verdict, plots, what was done when, and what does not fit. No scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from components.drills.checks import Check
from components.drills.report.outcome import Outcome, shown
from components.drills.report.plots import drawing
from components.drills.verdict import Figure

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #fff; --soft: #f3f5f8; --line: #d5dce3; --dim: #66727f;
  --good: #17692f; --bad: #b3261e; --read: #2f6fb0; --write: #6a4fb3; --band: #f6c9c433; --fault: #f0b7b0;
  --leader: #cfe3f5; --nobody: #e3e3e3; --lag: #b07a1e }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe6ee; --paper: #14191f; --soft: #1d242c; --line: #37424d;
  --dim: #94a1ae; --good: #6fd08c; --bad: #ff8f85; --read: #7db4ea; --write: #b49df0; --band: #ff8f8518;
  --fault: #7c3a35; --leader: #28486a; --nobody: #3a3f45; --lag: #e0b060 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 20px; max-width: 1040px; color: var(--ink);
  background: var(--paper) }
h1 { font-size: 21px; margin: 0 0 4px } h2 { font-size: 17px; margin: 28px 0 8px }
.pass { color: var(--good) } .fail { color: var(--bad) } .dim, p.dim { color: var(--dim) }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 4px 10px 4px 0;
  border-bottom: 1px solid var(--line); vertical-align: top } td.n { text-align: right; white-space: nowrap }
pre { background: var(--soft); padding: 10px; overflow-x: auto; border-radius: 6px; font-size: 13px }
svg { width: 100%; height: auto; background: var(--soft); border-radius: 6px; margin: 8px 0 }
svg text { font: 11px system-ui; fill: var(--ink) } svg .dim { fill: var(--dim) } svg .name { font-weight: 600 }
.grid { stroke: var(--line) } .band { fill: var(--band) } .fault { fill: var(--fault) } .leader { fill: var(--leader) }
.nobody { fill: var(--nobody) } .read { fill: var(--read) } .write { fill: var(--write) } .lag { fill: var(--lag) }
.error { fill: var(--bad) }
.key { font-weight: 600 } .key.read { color: var(--read) } .key.write { color: var(--write) }
.key.error { color: var(--bad) }
"""

_LEGEND = (
    "<p class='dim'>Shaded: a fault lasts. Each dot is an operation at the time of its answer: "
    "<span class='key read'>read</span>, <span class='key write'>write</span>, "
    "<span class='key error'>without an answer</span>; the name of a dot says more.</p>"
)


def page(outcomes: Sequence[Outcome]) -> str:
    """Self-contained: no script, no request to anywhere."""
    first = outcomes[0]
    passed = all(outcome.verdict.passed for outcome in outcomes)
    body = "".join(_run(number, outcome, len(outcomes)) for number, outcome in enumerate(outcomes, 1))
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>kuberaft drill {escape(first.name)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(first.drill.title)}: {_word(passed)}</h1>"
        f"<p>{escape(' '.join(first.drill.description.split()))}</p>{_overview(outcomes)}{body}</body></html>\n"
    )


def _word(passed: bool) -> str:
    return "<span class='pass'>passed</span>" if passed else "<span class='fail'>failed</span>"


def _overview(outcomes: Sequence[Outcome]) -> str:
    """With several runs: each with its figures, side by side."""
    if len(outcomes) < 2:
        return ""
    head = "".join(f"<th>{escape(figure.title)}</th>" for figure in outcomes[0].verdict.figures)
    rows = "".join(
        f"<tr><td><a href='#run-{number}'>{number}</a> {_word(outcome.verdict.passed)}</td>"
        + "".join(_value(figure) for figure in outcome.verdict.figures)
        + "</tr>"
        for number, outcome in enumerate(outcomes, 1)
    )
    return f"<table><tr><th>run</th>{head}</tr>{rows}</table>"


def _value(figure: Figure) -> str:
    return f"<td class='n {_class(figure.held)}'>{shown(figure.value, figure.unit)}</td>"


def _class(held: bool | None) -> str:
    return "dim" if held is None else "pass" if held else "fail"


def _run(number: int, outcome: Outcome, runs: int) -> str:
    title = f"Run {number} " if runs > 1 else "The run "
    operations = sum(len(history.calls) for history in outcome.seen.histories.values())
    where = f"seed {outcome.seed} · {outcome.site} cluster · links: {outcome.network}"
    verdict = outcome.verdict
    return (
        f"<h2 id='run-{number}'>{title}{_word(verdict.passed)}</h2>"
        f"<p class='dim'>{escape(where)} · {outcome.seen.end:.1f} s · {operations} operations · "
        f"{len(outcome.seen.requests)} requests</p>{_figures(verdict.figures)}{_checks(verdict.checks)}"
        f"{_problems(verdict.problems)}{drawing(outcome.seen)}{_LEGEND}{_moments(outcome)}"
    )


def _figures(figures: Sequence[Figure]) -> str:
    rows = "".join(
        f"<tr><td>{escape(figure.title)}</td>{_value(figure)}"
        f"<td class='n dim'>{'≤ ' + shown(figure.limit, figure.unit) if figure.limit is not None else ''}</td>"
        f"<td class='{_class(figure.held)}'>{_mark(figure.held)}</td></tr>"
        for figure in figures
    )
    return f"<table><tr><th>figure</th><th>measured</th><th>promised</th><th></th></tr>{rows}</table>"


def _mark(held: bool | None) -> str:
    return "" if held is None else "kept" if held else "broken"


def _checks(checks: Sequence[Check]) -> str:
    rows = ""
    for check in checks:
        state = "undecided" if check.held is None else _mark(check.held)
        details = f"<pre>{escape(chr(10).join(check.offending))}</pre>" if check.offending else ""
        rows += (
            f"<tr><td>{escape(check.name)}</td><td>{escape(check.text)}{details}</td>"
            f"<td class='{'pass' if check.held else 'fail'}'>{state}</td></tr>"
        )
    return f"<table><tr><th>check</th><th></th><th></th></tr>{rows}</table>"


def _problems(problems: Sequence[str]) -> str:
    return f"<pre class='fail'>{escape(chr(10).join(problems))}</pre>" if problems else ""


def _moments(outcome: Outcome) -> str:
    rows = "".join(
        f"<tr><td class='n'>{moment.time:.2f} s</td><td class='dim'>{moment.kind}</td>"
        f"<td>{escape(moment.text)}</td></tr>"
        for moment in sorted(outcome.seen.moments, key=lambda moment: moment.time)
    )
    return f"<table>{rows}</table>"
