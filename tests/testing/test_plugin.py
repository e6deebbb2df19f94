"""The plugin in test runs of its own: an operator's project, several workers, a run that is killed, wrong settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import INSTALLED, PLUGIN
from tests.support.local_cluster import eventually, is_running

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
SECONDS = 110
COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def environment() -> dict[str, str]:
    """As after ``pip install``, in a tree whose entry points have not been installed anew, too."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    plugins = {} if INSTALLED else {"PYTEST_PLUGINS": PLUGIN}
    return {**os.environ, "PYTHONPATH": path, **plugins}


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


def test_the_example_operator_passes_its_tests(tmp_path: Path) -> None:
    project = shutil.copytree(ROOT / "examples/operator", tmp_path / "operator")
    done = run_pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


WORKERS_APART = """
import json, pathlib

def test_one(kuberaft, worker_id): note(kuberaft, worker_id)
def test_two(kuberaft, worker_id): note(kuberaft, worker_id)

def note(kuberaft, worker_id):
    kuberaft.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}})
    path = pathlib.Path(__file__).with_name(worker_id)
    path.write_text(json.dumps([str(kuberaft.cluster.layout.root), kuberaft.cluster.status()["slot"]]))
"""


def test_workers_of_xdist_have_clusters_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(WORKERS_APART)
    done = run_pytest(tmp_path, "-n", "2", "--dist", "each", "-k", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("gw0", "gw1"))
    assert first[0] != second[0]
    assert first[1] != second[1]


HANGS = """
import pathlib, threading
import pytest

@pytest.mark.kuberaft(workers=1)
def test_for_ever(kuberaft):
    container = {"name": "c", "image": "kuberaft/pause"}
    kuberaft.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                     "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}})
    kuberaft.wait_for("pods", "p", "Ready")
    pathlib.Path(__file__).with_name("running").write_text("yes")
    threading.Event().wait()
"""


def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGS)
    command = [*COMMAND, "-p", "no:timeout", "--basetemp", str(tmp_path / "base")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
    try:
        eventually((tmp_path / "running").exists, "the pod runs", 60)
        started = started_under(tmp_path / "base")
        assert len(started) >= 5, started  # supervisor, starter, master, worker, shim, container
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    eventually(lambda: not any(map(is_running, started)), "everything has ended", 30)
    assert started_under(tmp_path / "base") == {}


def started_under(folder: Path) -> dict[int, str]:
    """Processes that name the folder, and whose parent does; the containers of a shim name nothing."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if f"{folder}/kuberaft" in line:
                found[process.pid] = line
                found.update({child.pid: child.name() for child in process.children(recursive=True)})
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
    done = run_pytest(tmp_path, "--kuberaft-workers", "many", "-k", "even")
    assert "kuberaft_workers='many': a number is expected" in done.stdout
