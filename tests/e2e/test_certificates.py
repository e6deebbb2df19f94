"""Certificates of a running cluster are renewed by one command, and nobody who uses it meanwhile notices."""

from __future__ import annotations

import json

import pytest

from components.client import kubeconfig
from tests.e2e.podkit import Bench, echo, pod
from tests.support.local_cluster import LocalCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def serials(cluster: LocalCluster) -> dict[str, str]:
    return {
        row["name"]: row["serial"] for row in json.loads(cluster.kuberaft("certs", "check", "-o", "json"))
    }


def test_all_are_renewed_and_taken_up_without_a_restart(small_cluster: LocalCluster) -> None:
    bench = Bench(small_cluster)
    ids, before = small_cluster.process_ids(), serials(small_cluster)
    copied = LocalCluster(small_cluster.dir)
    copied.kubeconfig = small_cluster.dir.with_suffix(".kubeconfig")
    copied.kubeconfig.write_bytes(small_cluster.kubeconfig.read_bytes())
    told = small_cluster.kuberaft("certs", "renew", "--all")
    after = serials(small_cluster)
    assert {name for name in before if before[name] == after[name]} == {"cluster/ca", "store/ca"}
    served = {line.split()[0] for line in told.splitlines() if line.endswith(" served")}
    assert served == {"cluster/apiserver-m1", "cluster/kubelet-w1"}  # a lone member of the store has no peers
    bench.apply(pod("after", echo()))
    bench.phase("after", "Running")  # scheduler, controllers and kubelet work on
    assert small_cluster.kubectl("get", "--raw", "/api/v1/nodes/w1/proxy/healthz") == "ok"
    assert small_cluster.process_ids() == ids
    assert copied.kubectl("get", "nodes", "-o", "name") == "node/w1\n"  # a copy from before is still good


def test_one_is_renewed_by_its_name(small_cluster: LocalCluster) -> None:
    before = serials(small_cluster)
    small_cluster.kuberaft("certs", "renew", "apiserver-m1")
    after = serials(small_cluster)
    assert {name for name in before if before[name] != after[name]} == {"cluster/apiserver-m1"}
    assert kubeconfig.load(small_cluster.kubeconfig).server.startswith("https://127.0.0.1:")


def test_authorities_of_a_running_cluster_stay(small_cluster: LocalCluster) -> None:
    before = serials(small_cluster)
    refused = small_cluster.run_kuberaft("certs", "renew", "--ca")
    assert (refused.returncode, "kuberaft down" in refused.stderr) == (1, True)
    assert serials(small_cluster) == before
