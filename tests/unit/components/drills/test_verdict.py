"""Figures against limits, and checks that fail when something is wrong."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.drills import catalogue, measure
from components.drills.checks import judge, linearizable, revisions, untold, upgraded, watches
from components.drills.observed import Moment, Observed, Request, Sample, Upgraded
from components.drills.report.html import page
from components.drills.report.junit import suite
from components.drills.report.outcome import Outcome, document
from components.drills.verdict import decide
from kvstore.check.history import Call, Watch, Watched
from tests.unit.components.drills.histories import PREFIX, everything, history, read, swap, told, watch

GOOD: tuple[Call | Watch | Watched, ...] = (
    watch(1, 0, 2),
    swap(100, 200, "d-k0", 0, "1-1", 90),
    told(1, 250, "d-k0", "1-1", 90),
    read(300, 400, "d-k0", "1-1", 90),
    swap(500, 600, "d-l1", 0, "1-2", 94),
    told(1, 610, "d-l1", "1-2", 94),
    everything(900, 950, 99, k0=("1-1", 90), l1=("1-2", 94)),
)


def run(*records: Call | Watch | Watched, recovery: float | None = 1.0) -> Observed:
    return Observed(
        begin=0.0,
        end=1.0,
        prefix=PREFIX,
        histories={"keys": history(*records)},
        samples=[Sample(0.1, "m1", 1, 3, 2), Sample(0.2, "", 1, 2, 2), Sample(0.3, "m2", 2, 3, 2)],
        moments=[Moment(0.2, "fault", "m1 gets <SIGKILL>", 0), Moment(0.4, "undone", "kill is undone", 0)],
        requests=[Request(0.2, 0.01, "web-1"), Request(0.3, 0.02, "", "refused")],
        pods_before={"a": 0, "b": 0, "c": 0},
        pods_after={"a": 0, "b": 1},
        recovery=recovery,
    )


DRILL = catalogue.parse(
    """
title: t
description: d
timeline: [{at: 1s, fault: kill, target: leader}]
hypothesis: {writeOutage: 500ms, readOutage: 1s, lostPods: 2, failedRequests: 1, leaderChanges: 1}
""",
    "t",
)


def test_the_figures_of_a_run() -> None:
    verdict = decide(DRILL, run(*GOOD))
    values = {figure.name: figure.value for figure in verdict.figures}
    assert values == {
        "write_outage": 0.4,
        "read_outage": 0.55,
        "lost_writes": 0,
        "error_rate": 0,
        "unretried": 0,
        "failed_requests": 1,
        "lost_pods": 2,
        "leader_changes": 1,
        "recovery": 1.0,
        "watch_lag": 0.05,
    }
    assert verdict.passed


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ({"write_outage": "300ms"}, "write_outage"),
        ({"read_outage": "500ms"}, "read_outage"),
        ({"lost_pods": 1}, "lost_pods"),
        ({"failed_requests": 0}, "failed_requests"),
        ({"leader_changes": 0}, "leader_changes"),
        ({"recovery": "900ms"}, "recovery"),
        ({"watch_lag": "40ms"}, "watch_lag"),
    ],
)
def test_a_limit_that_is_not_kept_fails_the_drill(limit: dict[str, object], figure: str) -> None:
    limits = msgspec.structs.replace(DRILL.hypothesis, **limit)
    verdict = decide(msgspec.structs.replace(DRILL, hypothesis=limits), run(*GOOD))
    assert [f.name for f in verdict.figures if f.held is False] == [figure]
    assert not verdict.passed


def test_a_cluster_that_never_recovered_fails_although_nothing_was_measured() -> None:
    assert not decide(DRILL, run(*GOOD, recovery=None)).passed


def test_a_lost_write_fails_the_drill_and_is_named() -> None:
    verdict = decide(DRILL, run(*GOOD[:-1], everything(900, 950, 99, k0=("1-1", 90))))
    assert next(f.value for f in verdict.figures if f.name == "lost_writes") == 1
    assert "d-l1" in verdict.problems[0]
    assert not verdict.passed


def test_a_stale_read_fails_the_drill_and_is_named() -> None:
    seen = run(*GOOD, swap(610, 700, "d-k0", 90, "1-3", 95), told(1, 700, "d-k0", "1-3", 95))
    found = linearizable(seen, judge(seen))
    assert found.held is False  # the read of everything at 900 ms shows what was overwritten at 700
    assert any("1-1" in line for line in found.offending)


def test_an_event_that_never_came_fails_the_drill() -> None:
    seen = run(*GOOD[:2], *GOOD[3:], swap(611, 620, "d-k1", 0, "1-4", 96), told(1, 630, "d-k1", "1-4", 96))
    lost = run(*(r for r in GOOD if not (isinstance(r, Watched) and r.revision == 94)))
    assert watches(lost, judge(lost)).held is True  # nothing after it was told: it may yet come
    assert watches(seen, judge(seen)).held is True  # nor before the first that came: the watch began later
    both = (swap(611, 620, "d-k1", 0, "1-4", 96), told(1, 630, "d-k1", "1-4", 96))
    gap = run(*(r for r in GOOD if not (isinstance(r, Watched) and r.revision == 94)), *both)
    assert watches(gap, judge(gap)).held is False
    assert list(untold(gap.histories["keys"])) != []


def test_a_revision_that_goes_back_fails_the_drill() -> None:
    seen = run(*GOOD, everything(960, 970, 93, k0=("1-1", 90), l1=("1-2", 94)))
    assert revisions(seen, []).held is False
    assert revisions(run(*GOOD), []).held is True


def failed(start: int, endpoint: str, error: str, key: str = "d-k5") -> Call:
    call = swap(start, start + 10, key, 0, f"9-{start}", None, client=9)
    return msgspec.structs.replace(call, endpoint=endpoint, error=error)


@pytest.mark.parametrize(
    ("clients", "call", "counted"),
    [
        ("objects", failed(20, "https://one", "broken"), 1),
        ("objects", failed(20, "https://m2", "Cannot connect"), None),  # not through the one address
        ("keys", failed(20, "m2:2379", "Socket closed"), 1),
        (
            "keys",
            failed(20, "m2:2379", "Stream removed (GOAWAY received; Error code: 0)"),
            None,
        ),  # never sent
        ("keys", msgspec.structs.replace(failed(20, "m2:2379", "failed to connect"), outcome="error"), None),
    ],
)
def test_a_failure_counts_that_no_client_tries_again(clients: str, call: Call, counted: int | None) -> None:
    seen = Observed(address="https://one", histories={clients: history(call)})
    assert measure.unretried(seen) == counted


def test_an_upgrade_says_from_which_version_to_which() -> None:
    assert upgraded(Observed(), []).held is False
    seen = Observed(
        upgraded=[
            Upgraded("m1", "v1", "v2", "kuberaft 2 by /p"),
            Upgraded("m2", "v1", "v2", "kuberaft 2 by /p"),
        ]
    )
    found = upgraded(seen, [])
    assert (found.held, found.text) == (True, "2 from v1 to v2 by kuberaft 2 by /p")
    seen.upgraded.append(Upgraded("m3", "v1", "", "kuberaft 2 by /p"))
    assert upgraded(seen, []).offending == ["m3 was started again and does not say its version"]


@given(st.lists(st.floats(0, 10, allow_nan=False), max_size=20))
def test_the_longest_gap_is_that_of_the_naive_twin(times: list[float]) -> None:
    marks = sorted([0.0, 10.0, *times])
    naive = (
        max(b - a for a in marks for b in marks if b > a and not any(a < m < b for m in marks))
        if marks
        else 0
    )
    assert measure.longest_gap(times, 0.0, 10.0) == naive


def outcomes() -> list[Outcome]:
    good, bad = run(*GOOD), run(*GOOD[:-1], everything(900, 950, 99, k0=("1-1", 90)))
    return [
        Outcome("t", DRILL, seed, "own", "direct", seen, decide(DRILL, seen))
        for seed, seen in enumerate((good, bad))
    ]


def test_the_report_for_machines() -> None:
    found = document(outcomes())
    assert (found["passed"], [one["passed"] for one in found["runs"]]) == (False, [True, False])
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    suites = ElementTree.fromstring(suite(outcomes()).encode())
    assert [(s.get("tests"), s.get("failures")) for s in suites] == [("11", "0"), ("11", "3")]


def test_the_page_needs_nothing_from_anywhere() -> None:
    text = page(outcomes())
    assert "<script" not in text
    assert "http" not in text.replace("https://127", "")
    assert "m1 gets &lt;SIGKILL&gt;" in text
    for marker in ("d-l1", "svg", "class='fail'", "id='run-2'"):
        assert marker in text
