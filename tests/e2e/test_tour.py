"""`kuberaft tour` keeps every promise it narrates, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.mark.timeout(240)
def test_the_tour_runs_to_its_end_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    # Sockets live there, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="tour-", dir="/tmp") as temporary:
        command = [sys.executable, "-m", "components.cluster.cli", "tour", "--dir", str(tmp_path / "none")]
        result = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            text=True,
            timeout=220,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert os.listdir(temporary) == []
    assert "0 of them missing" in result.stdout
    assert " 0 failed" in result.stdout
    assert "back after" in result.stdout
    assert result.stdout.rstrip().endswith("gone")
