"""What a person sees: a line for what happens, a line that moves while it does, a table at the end."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from components.cluster.view import console
from components.drills.events import PHASES, Event
from components.drills.report.outcome import Outcome, shown

_WORDS = {
    "start": "a cluster of the drill's own starts",
    "prepare": "the clients get ready",
    "steady": "all is well",
    "faults": "the faults begin",
    "recovery": "all faults are undone; until everything is at work again ...",
    "calm": "everything is at work",
    "judge": "what the clients saw is judged",
}


class View(Protocol):
    """Given every event; shows the outcomes at the end."""

    def __enter__(self) -> View: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def tell(self, event: Event) -> None: ...
    def show(self, outcomes: list[Outcome]) -> None: ...


class JsonLines:
    """For machines: one JSON object a line on standard output, and nothing else (`components.drills.events`)."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tell(self, event: Event) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    def show(self, outcomes: list[Outcome]) -> None:
        return None


class Terminal:
    """For people. Without a terminal only the lines that stay are printed."""

    def __init__(self, to: Console | None = None) -> None:
        self._console = to or console()
        self._live = Live(console=self._console, refresh_per_second=5, transient=True)
        self._moving = self._console.is_terminal

    def __enter__(self) -> Terminal:
        if self._moving:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving:
            self._live.stop()

    def tell(self, event: Event) -> None:
        match event["event"]:
            case "run":
                self._line(
                    f"{event['drill']}: run {event['run']} of {event['runs']}, seed {event['seed']}", "bold"
                )
            case "phase":
                self._line(f"{event['time']:6.1f} s  {_WORDS.get(event['phase'], event['phase'])}", "dim")
            case "fault" | "undone" | "note":
                style = "red" if event["event"] == "fault" else "green"
                self._line(f"{event['time']:6.1f} s  {event['text']}", style)
            case "state" if self._moving:
                self._live.update(_state(event))

    def _line(self, text: str, style: str) -> None:
        self._console.print(text, style=style, highlight=False, markup=False)

    def show(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._console.print(table(outcome))
            for check in outcome.verdict.checks:
                for line in check.offending[:20]:
                    self._console.print(f"  {line}", style="red", highlight=False, markup=False)
            for problem in outcome.verdict.problems[:20]:
                self._console.print(f"  {problem}", style="red", highlight=False, markup=False)
        failed = sum(not outcome.verdict.passed for outcome in outcomes)
        text = f"{len(outcomes) - failed} of {len(outcomes)} runs passed"
        self._line(text, "bold red" if failed else "bold green")


def _state(event: Event) -> Text:
    leader = event["leader"] or "nobody"
    return Text.assemble(
        f"{event['time']:6.1f} s  leader ",
        (leader, "bold" if event["leader"] else "bold red"),
        f"  masters {event['masters']}  nodes {event['nodes']}  reads {event['reads']}  writes {event['writes']}  ",
        (f"errors {event['errors']}", "red" if event["errors"] else ""),
        f"  requests {event['requests']}",
    )


def table(outcome: Outcome) -> Table:
    """The verdict on one run."""
    verdict = outcome.verdict
    state = "passed" if verdict.passed else "FAILED"
    found = Table(title=f"{outcome.name}, seed {outcome.seed}: {state}", title_justify="left", box=None)
    for name, side in (("", "left"), ("MEASURED", "right"), ("PROMISED", "right"), ("", "left")):
        found.add_column(name, justify=side, header_style="dim")  # type: ignore[arg-type]
    for figure in verdict.figures:
        limit = "" if figure.limit is None else f"≤ {shown(figure.limit, figure.unit)}"
        found.add_row(figure.title, shown(figure.value, figure.unit), limit, _mark(figure.held))
    for check in verdict.checks:
        found.add_row(check.name, check.text, "", _mark(check.held) if check.held is not None else _UNDECIDED)
    return found


_UNDECIDED = Text("undecided", style="red")


def _mark(held: bool | None) -> Text:
    if held is None:
        return Text("")
    return Text("kept", style="green") if held else Text("broken", style="bold red")


assert set(_WORDS) == set(PHASES), "every phase has its words"
