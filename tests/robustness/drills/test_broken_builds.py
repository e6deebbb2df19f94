"""A drill fails honestly: with each of three builds that are broken on purpose, the right check fails."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from components.drills import disks
from kvstore import backup
from tests.robustness.drills.short import ALONE, broken, run, shipped

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

POWER = """\
title: The lights go out
description: All masters lose power at once; what was not forced to the disk is gone.
timeline: [{at: 1s, fault: power-loss, for: 500ms}]
hypothesis: {recovery: 15s}
workload: {service: false}
cluster: {workers: 0, fsync: FSYNC}
steady: 200ms
calm: 300ms
"""
STALE = """\
# Reads of a build without the round that confirms the leader: each master answers from what it has.
from kvstore.raft.engine import Engine


async def read_index(self, timeout):
    return 0


Engine.read_index = read_index
"""


@pytest.mark.skipif(not disks.available(), reason="a power cut needs root and loop devices")
@pytest.mark.parametrize("fsync", [True, False])
def test_power_loss_loses_writes_without_fsync_and_none_with_it(fsync: bool, tmp_path: Path) -> None:
    file, report = tmp_path / "power-loss.yaml", tmp_path / "report"
    file.write_text(POWER.replace("FSYNC", str(fsync).lower()))
    command = [
        sys.executable,
        "-m",
        "components.cluster.cli",
        "drill",
        "run",
        str(file),
        "--report",
        str(report),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    (found,) = json.loads((report / "report.json").read_bytes())["runs"]
    wrong = {one["name"] for one in (*found["figures"], *found["checks"]) if one["held"] is False}
    if fsync:
        assert (done.returncode, wrong) == (0, set()), done.stdout
    else:
        assert done.returncode == 1
        assert {"lost_writes", "linearizable"} <= wrong


def test_stale_reads_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(STALE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = run("partition-follower", shipped("partition-follower", workload=ALONE))
    assert "linearizable" in broken(outcome)
    check = next(check for check in outcome.verdict.checks if check.name == "linearizable")
    assert any("get" in line for line in check.offending)


def test_a_restore_without_a_jump_of_the_revision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    as_if = functools.partial(backup.restore, bump_revision=0, mark_compacted=False)
    monkeypatch.setattr(backup, "restore", as_if)
    drill = shipped("restore-old-backup", at_most=2.0, workload=ALONE)
    outcome = run("restore-old-backup", msgspec.structs.replace(drill, checks=("revisions", "restored")))
    assert "revisions" in broken(outcome)
