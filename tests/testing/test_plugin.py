"""The plugin in test runs of its own: an operator's project, several workers, a run that is killed, wrong settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.conftest import PLUGIN
from tests.support.local_cluster import eventually, is_running

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
SECONDS = 110
COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": PLUGIN}
"""No other plugin: importing those of this project's own tests takes longer than the tests."""


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, **ALONE}


def run_pytest(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *flags],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_plugin_is_found_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"kuberaft": PLUGIN}


def test_the_example_operator_passes_its_tests(tmp_path: Path) -> None:
    project = shutil.copytree(ROOT / "examples/operator", tmp_path / "operator")
    done = run_pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


HANGS = """
import json, os, pathlib, threading
import pytest

WORKERS = int(os.environ["PYTEST_XDIST_WORKER"] == "gw0")

@pytest.mark.kuberaft(workers=WORKERS)
def test_for_ever(kuberaft, worker_id):
    container = {"name": "c", "image": "kuberaft/pause"}
    kuberaft.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                     "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}})
    if WORKERS:
        kuberaft.wait_for("pods", "p", "Ready", timeout=60)
    kuberaft.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}})
    cluster = kuberaft.cluster
    path = pathlib.Path(__file__).with_name(worker_id + ".new")
    path.write_text(json.dumps([str(cluster.layout.root), cluster.status()["slot"]]))
    path.rename(path.with_suffix(".json"))
    threading.Event().wait()
"""


def test_workers_have_clusters_of_their_own_and_nothing_is_left_of_a_run_that_is_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_it.py").write_text(HANGS)
    command = [*COMMAND, "--basetemp", str(tmp_path / "base"), "-p", "xdist.plugin", "-n2", "--dist", "each"]
    notes = [tmp_path / "gw0.json", tmp_path / "gw1.json"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
    try:
        eventually(lambda: all(note.exists() for note in notes), "a pod runs in both clusters", 60)
        first, second = (json.loads(note.read_text()) for note in notes)
        assert first[0] != second[0]
        assert first[1] != second[1]
        roots = [first[0], second[0]]
        started = named(roots)
        assert len(started) >= 6 + 3  # one has a worker and a pod: its kubelet, a shim and a container
    finally:
        for runner in [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]:
            os.kill(runner, signal.SIGKILL)
        process.wait()
    eventually(lambda: not any(map(is_running, started)), "everything has ended", 40)
    assert named(roots) == set()


def named(roots: Sequence[str]) -> set[int]:
    """Processes whose command names a cluster's directory, and what they have started."""
    found: set[int] = set()
    for process in psutil.process_iter():
        try:
            if any(f"{root}/" in word or word == root for word in process.cmdline() for root in roots):
                found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
        except psutil.Error:
            continue
    return found


WRONG = """
import pytest

@pytest.mark.kuberaft(masters=2)
def test_even(kuberaft): ...

@pytest.mark.kuberaft(nodes=2)
def test_word(kuberaft): ...

@pytest.mark.kuberaft(3)
def test_position(kuberaft): ...
"""


def test_what_cannot_be_meant_is_told(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(WRONG)
    done = run_pytest(tmp_path)
    for text in (
        "masters=2: an odd number is expected",
        "there is no 'nodes': it takes masters, workers, faults",
        "takes words only, such as masters=3",
    ):
        assert text in done.stdout
    assert "3 errors" in done.stdout
