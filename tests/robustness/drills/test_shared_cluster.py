"""The drills that undo themselves, one after another on one running cluster (`--dir`), as its users do it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from components.drills import catalogue
from components.drills.site import lacking
from components.drills.spec import upgraded_to
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

NEW = """\
# The next version, as far as anybody can see from outside.
import sys

if "components.master" in sys.orig_argv:
    from apiserver.http import discovery

    discovery.GIT_VERSION = "v1.36.9"
if "components.worker" in sys.orig_argv:
    from components.kubelet import config

    config.VERSION = "v1.36.9"
"""

OWN = {"restore-elsewhere", "backup-restore", "restore-old-backup", "quorum-loss", "clock-jump"}
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


def test_an_upgrade_to_another_version_and_back(shared: LocalCluster, tmp_path: Path) -> None:
    """The short form of rolling-upgrade: a canary of each kind. `make drills` has the long one."""
    (tmp_path / "sitecustomize.py").write_text(NEW)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    drill = upgraded_to(shipped("rolling-upgrade", at_most=0.1, workload=ALONE), str(python))
    assert drill is not None
    canary = [msgspec.structs.replace(step, only=["follower", "any-worker"]) for step in drill.timeline]
    outcome = run("rolling-upgrade", msgspec.structs.replace(drill, timeline=canary), on(shared.dir))
    assert_passed(outcome)
    assert [(one.before, one.after) for one in outcome.seen.upgraded] == [("v1.36.2", "v1.36.9")] * 2
    assert not any(process["program"] for process in shared.status()["processes"]), "all are what they were"


def test_certificates_run_out_and_are_renewed(shared: LocalCluster) -> None:
    outcome = run("expired-certificates", shipped("expired-certificates", workload=ALONE), on(shared.dir))
    assert_passed(outcome)
    shared.kuberaft("certs", "check")  # else its exit status would be 1


def test_every_shipped_drill_is_run_here_or_on_a_cluster_of_its_own() -> None:
    here = {*MASTERS_ONLY, "node-drain", "rolling-restart", "controller-failover", "cold-start"}
    here |= {"worker-kill", "worker-pause", "rolling-upgrade", "expired-certificates"}
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
