"""The drills that undo themselves, one after another on one running cluster (`--dir`), as its users do it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.drills import catalogue
from components.drills.site import lacking
from tests.robustness.drills.short import ALONE, assert_passed, on, run, shipped
from tests.support.local_cluster import LocalCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TOPOLOGY = """\
name: drills
masters: {count: 3, apiPort: 0, peerProxies: true}
workers: {count: 2}
store: {clientPort: true}
"""
OFFERS = frozenset({"processes", "peer-links", "masters", "nodes", "endpoints"})
MASTERS_ONLY = (
    "leader-kill",
    "leader-pause",
    "follower-kill",
    "partition-leader",
    "partition-follower",
    "partition-one-way",
    "partition-split",
    "flapping-link",
    "full-disk",
    "slow-disk",
    "lost-data",
    "leader-move",
    "compaction",
    "apiserver-kill",
)
"""Their service is not what matters, and making it takes two seconds each."""

OWN = {"backup-restore", "restore-old-backup", "quorum-loss", "clock-jump"}
"""In `test_own_cluster`."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path_factory.mktemp("drills") / "cluster")
    try:
        cluster.up(TOPOLOGY)
        yield cluster
    finally:
        cluster.close()


@pytest.mark.parametrize("name", MASTERS_ONLY)
def test_a_drill_of_the_masters(shared: LocalCluster, name: str) -> None:
    assert_passed(run(name, shipped(name, workload=ALONE), on(shared.dir)))


@pytest.mark.parametrize("name", ["node-drain", "rolling-restart", "controller-failover", "cold-start"])
def test_a_drill_with_the_application(shared: LocalCluster, name: str) -> None:
    assert_passed(run(name, shipped(name, at_most=0.5), on(shared.dir)))


def test_a_worker_that_dies_is_missed_only_beyond_its_grace_period(shared: LocalCluster) -> None:
    """The short form of worker-kill and worker-pause: the pods are not moved yet. `make drills` has the long one."""
    for name in ("worker-kill", "worker-pause"):
        assert_passed(run(name, shipped(name, at_most=1.0), on(shared.dir)))


def test_every_shipped_drill_is_run_here_or_on_a_cluster_of_its_own() -> None:
    here = {*MASTERS_ONLY, "node-drain", "rolling-restart", "controller-failover", "cold-start"}
    here |= {"worker-kill", "worker-pause"}
    assert set(catalogue.names()) == here | OWN
    assert all("own-cluster" in lacking(catalogue.find(name), OFFERS) for name in OWN)


def test_what_a_running_cluster_cannot_do_is_refused(shared: LocalCluster) -> None:
    refused = shared.run_kuberaft("drill", "backup-restore")
    assert refused.returncode == 1
    assert "needs a cluster of its own" in refused.stderr


def test_nothing_of_the_drills_is_left(shared: LocalCluster) -> None:
    namespaces = shared.kubectl("get", "namespaces", "-o", "name")
    assert "drill-" not in namespaces or "Terminating" in shared.kubectl("get", "namespaces")
    assert all(process["state"] == "ready" for process in shared.status()["processes"])
