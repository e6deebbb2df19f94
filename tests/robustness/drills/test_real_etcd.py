"""The same clients, checks and drills against real etcd, and an API server in front of it: `--kubeconfig --etcd`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.drills.session import Place
from tests.e2e.test_apiserver_on_etcd import api_server
from tests.robustness.drills.short import assert_passed, run, shipped
from tests.support.kvstore_cluster import Cluster
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: it, cluster: {{server: "{server}", insecure-skip-tls-verify: true}}}}]
users: [{{name: admin, user: {{token: secret}}}}]
contexts: [{{name: it, context: {{cluster: it, user: admin}}}}]
current-context: it
"""


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster((require_tool("etcd"),), tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.mark.parametrize("name", ["leader-move", "compaction"])
def test_drills_of_the_store(etcd: Cluster, name: str) -> None:
    assert_passed(run(name, shipped(name), Place(etcd=",".join(etcd.endpoints))))


def test_a_drill_of_the_store_under_an_api_server(etcd: Cluster, tmp_path: Path) -> None:
    with api_server(tmp_path, etcd.endpoints) as url:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG.format(server=url))
        outcome = run(
            "leader-move", shipped("leader-move"), Place(kubeconfig=kubeconfig, etcd=",".join(etcd.endpoints))
        )
    assert_passed(outcome)
    assert set(outcome.seen.histories) == {"keys", "objects"}


def test_a_drill_that_needs_processes_is_refused(etcd: Cluster) -> None:
    command = [sys.executable, "-m", "components.cluster.cli", "drill", "leader-kill"]
    done = subprocess.run(
        [*command, "--etcd", ",".join(etcd.endpoints)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "this drill needs access to the cluster's processes" in done.stderr
