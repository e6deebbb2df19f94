"""Short runs of the harness (`make robustness` is the long form): what is broken on purpose is not seen by clients."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kvstore.check.report import report
from tests.robustness.harness.run import Outcome, Plan, run
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECONDS = float(os.environ.get("KUBERAFT_ROBUSTNESS_SECONDS", "1.5"))
KEEP = Path(os.environ.get("KUBERAFT_ROBUSTNESS_KEEP", "/tmp/kvstore-robustness-failed"))


def assert_passed(outcome: Outcome) -> None:
    print(outcome.line())
    assert outcome.verdict is not None
    assert outcome.passed, "\n".join([outcome.line(), *outcome.problems, report(outcome.verdict)])


@pytest.mark.parametrize(
    ("seed", "only"),
    [
        (1, ("kill-leader", "kill-follower", "kill-all")),
        (2, ("isolate", "one-way", "pause")),
        (3, ("compact", "move-leader", "power-loss")),
    ],
)
def test_no_fault_is_seen_by_clients(seed: int, only: tuple[str, ...]) -> None:
    assert_passed(run(Plan(seed, SECONDS, only, keep=KEEP)))


def test_a_real_etcd_passes_the_same_judgement() -> None:
    """Tests the tests: a checker that finds fault with etcd, or with its own recording, is wrong."""
    etcd = require_tool("etcd")
    assert_passed(run(Plan(4, 1.0, ("kill-leader", "isolate"), (etcd,), keep=KEEP)))
