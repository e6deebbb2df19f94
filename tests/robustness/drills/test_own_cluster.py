"""Drills on clusters of their own: restores, Ctrl-C, reports, a network namespace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from components.drills import links
from tests.robustness.drills.short import ALONE, assert_passed, run, shipped
from tests.support.local_cluster import eventually
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
COMMAND = (sys.executable, "-m", "components.cluster.cli", "drill")

SMALL = """\
title: Small
description: The leader dies while nobody works.
timeline: [{at: 200ms, fault: kill, target: leader, for: 500ms}]
hypothesis: {writeOutage: 5s, recovery: 20s}
workload: {service: false}
cluster: {workers: 0}
steady: 200ms
calm: 200ms
"""


def test_backup_disaster_restore(tmp_path: Path) -> None:
    outcome = run("backup-restore", shipped("backup-restore"), report=tmp_path / "report")
    assert_passed(outcome)
    kept = next(check for check in outcome.verdict.checks if check.name == "restored")
    assert not kept.text.startswith("0 "), kept
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert (report["passed"], report["runs"][0]["site"]) == (True, "own")
    assert "<svg" in (tmp_path / "report" / "report.html").read_text()


def test_an_old_backup_under_running_clients() -> None:
    assert_passed(run("restore-old-backup", shipped("restore-old-backup", at_most=2.0, workload=ALONE)))


def test_a_backup_is_restored_somewhere_else() -> None:
    outcome = run("restore-elsewhere", shipped("restore-elsewhere"))
    assert_passed(outcome)
    kept = next(check for check in outcome.verdict.checks if check.name == "restored")
    assert not kept.text.startswith("0 "), kept
    history = outcome.seen.histories["objects"]
    answered = {
        call.endpoint for call in history.calls if call.outcome == "ok" and call.client in (101, 102, 103)
    }
    assert len(answered) == 2, "the same clients were answered at the old address and at the new one"


def test_quorum_loss_and_recovery_from_the_survivor() -> None:
    assert_passed(run("quorum-loss", shipped("quorum-loss", workload=ALONE)))


def test_the_clock_jumps() -> None:
    require_tool("faketime")
    assert_passed(run("clock-jump", shipped("clock-jump", workload=ALONE)))


@pytest.mark.parametrize("network", ["network namespace", "peer proxies"])
def test_a_partition_by_the_command_with_a_file_of_ones_own(tmp_path: Path, network: str) -> None:
    if network == "network namespace" and not links.possible():
        pytest.skip("a network namespace needs root and iproute2")
    file, report = tmp_path / "small.yaml", tmp_path / "report"
    file.write_text(SMALL.replace("fault: kill, target: leader", "fault: partition, alone: leader"))
    how = "namespace" if network == "network namespace" else "proxies"
    flags = ["--network", how, "--progress", "json", "--report", str(report), "--seed", "3"]
    done = subprocess.run([*COMMAND, "run", str(file), *flags], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events if event["event"] not in ("state", "phase")]
    assert kinds == ["run", "fault", "undone", "verdict", "end"]
    assert ElementTree.parse(report / "junit.xml").getroot()[0].get("failures") == "0"
    assert json.loads((report / "report.json").read_bytes())["runs"][0]["network"] == network


def test_an_interrupted_drill_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(SMALL.replace("kill, target: leader, for: 500ms", "pause, target: leader, for: 60s"))
    process = subprocess.Popen(
        [*COMMAND, "run", str(file), "--progress", "json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if json.loads(line)["event"] == "fault":
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.wait(60) != 0
    assert [path.name for path in tmp_path.iterdir()] == ["long.yaml"]
    eventually(lambda: not _mentioning(str(tmp_path)), "no process of the drill is left", 10)


def _mentioning(text: str) -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(directory.name) != os.getpid():
            found.append(line)
    return found
