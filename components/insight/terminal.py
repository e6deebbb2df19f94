"""Explanations and stories as text for a terminal, one screen if it can be."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

Answer = dict[str, Any]
_MOST_FACTS = 14
_STEP_WIDTH = 8
_INSIDE = frozenset({"entry", "revision", "watch"})


def show(answer: Answer, render: Callable[[Answer, int], str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    width = shutil.get_terminal_size((100, 40)).columns if sys.stdout.isatty() else 100
    print(render(answer, min(width, 120)))


def explanation(answer: Answer, width: int) -> str:
    """The headline, the facts, each with what to do, who changed it last, and who could not be asked."""
    lines = [*_wrapped(answer["headline"], width, ""), ""]
    facts = answer.get("facts") or []
    for fact in facts[:_MOST_FACTS]:
        lines += _fact(fact, width)
    if len(facts) > _MOST_FACTS:
        lines.append(f"  and {len(facts) - _MOST_FACTS} more: -o json")
    change = answer.get("lastChange")
    if change:
        lines += ["", *_wrapped(last_change(change), width, "")]
    lines += _missing(answer)
    return "\n".join(lines).rstrip()


def _fact(fact: Answer, width: int) -> Iterator[str]:
    since = f" [{_clock(fact['since'])}]" if fact.get("since") else ""
    yield from _wrapped(f"- {fact['text']}{since}", width, "  ")
    if fact.get("remedy"):
        yield from _wrapped(f"  -> {fact['remedy']}", width, "     ")


def last_change(change: Answer) -> str:
    fields = ", ".join(change.get("fields") or [])
    what = f": {fields}" if fields else ""
    return f"Last change: {change.get('user') or 'unknown'}, {change.get('verb')}, {_clock(change['time'])}{what}"


def _missing(answer: Answer) -> list[str]:
    missing = [f"{one['instance']} ({one['error']})" for one in answer.get("missing") or []]
    return ["", f"Not asked, for they did not answer: {', '.join(missing)}"] if missing else []


def story(answer: Answer, width: int) -> str:
    """One line for each entry: time, where, step, what. `-o json` has them all."""
    family = answer.get("family") or []
    names = ", ".join(f"{one['kind']} {one['name']}" for one in family[1:7])
    about = answer["object"]
    place = f"{about['namespace']}/{about['name']}" if about.get("namespace") else about["name"]
    head = f"{about.get('kind') or about.get('resource')} {place}"
    lines = _wrapped(f"{head}{f', with {names}' if names else ''}", width, "  ")
    lines += [_entry(entry, width) for entry in shortened(answer.get("entries") or [])]
    if not answer.get("entries"):
        lines.append("No records of it are kept.")
    return "\n".join([*lines, *_missing(answer)])


def shortened(entries: list[Answer]) -> list[Answer]:
    """A request's place in the log stands in its own line; what the kubelet has told is not told by its events
    again."""
    by_kubelet = any(entry["source"] == "kubelet" for entry in entries)
    found = []
    for entry in entries:
        if entry["step"] in _INSIDE or (by_kubelet and entry["component"] == "kubelet"):
            continue
        index = entry["detail"].get("index") if entry["step"] == "request" else None
        place = f" (log entry {index}, term {entry['detail'].get('term')})" if index is not None else ""
        found.append({**entry, "summary": entry["summary"] + place})
    return found


def _entry(entry: Answer, width: int) -> str:
    where = entry.get("instance") or "-"
    line = f"{entry['time'][11:23]} {where:<4.4} {entry['step']:<{_STEP_WIDTH}} {entry['summary']}"
    return line if len(line) <= width else line[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _clock(time: str) -> str:
    return time[:19].replace("T", " ") + " UTC" if len(time) >= 19 else time


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
