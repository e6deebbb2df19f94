"""JUnit XML for CI (P): a suite a run, a test case for each figure with a limit and for each check."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from components.drills.report.outcome import Outcome, shown

_CONTROL = {number: " " for number in range(32) if chr(number) not in "\t\n\r"}


def suite(outcomes: Sequence[Outcome]) -> str:
    """The whole file."""
    root = Element("testsuites", name=f"kuberaft drill {outcomes[0].name}")
    for number, outcome in enumerate(outcomes, 1):
        _suite(root, number, outcome)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, number: int, outcome: Outcome) -> None:
    name = f"{outcome.name} run {number} seed {outcome.seed}"
    element = SubElement(root, "testsuite", name=name, time=f"{outcome.seen.end:.3f}")
    failed = 0
    for figure in outcome.verdict.figures:
        if figure.limit is not None:
            text = f"{shown(figure.value, figure.unit)}, promised at most {shown(figure.limit, figure.unit)}"
            failed += _case(element, outcome.name, figure.name, figure.held, text, "")
    for check in outcome.verdict.checks:
        failed += _case(
            element, outcome.name, check.name, check.held is True, check.text, "\n".join(check.offending)
        )
    problems = "\n".join(outcome.verdict.problems)
    failed += _case(element, outcome.name, "problems", not problems, "what a client may never see", problems)
    element.set("tests", str(len(element)))
    element.set("failures", str(failed))


def _case(suite: Element, group: str, name: str, held: bool | None, text: str, details: str) -> bool:
    case = SubElement(suite, "testcase", classname=f"drill.{group}", name=name)
    if held is None:
        SubElement(case, "skipped", message="nothing was measured")
    elif not held:
        failure = SubElement(case, "failure", message=text.translate(_CONTROL))
        failure.text = details.translate(_CONTROL)
    return held is False
