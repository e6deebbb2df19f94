"""The definition, for the whole session, and the operator, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.testing.cluster import Cluster

PROJECT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "kopf", "run", "--standalone", "--all-namespaces", "website_operator.py"]


@pytest.fixture(scope="session", autouse=True)
def operator(kuberaft_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its log."""
    kuberaft_cluster.apply(yaml.safe_load((PROJECT / "definition.yaml").read_text()))
    kuberaft_cluster.keep()  # the definition survives the resets between tests
    log = tmp_path_factory.mktemp("operator") / "log"
    environment: dict[str, Any] = {**os.environ, "KUBECONFIG": str(kuberaft_cluster.kubeconfig)}
    with log.open("wb") as output:
        process = subprocess.Popen(COMMAND, cwd=PROJECT, stdout=output, stderr=output, env=environment)
    yield log
    process.terminate()
    try:
        process.wait(10)
    finally:
        process.kill()
