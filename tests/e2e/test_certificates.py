"""Certificates of a running cluster are renewed by one command, and nobody who uses it meanwhile notices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from components.cluster import pki, plan, renewal
from components.cluster.layout import Layout
from components.cluster.prepare import write_kubeconfigs
from tests.e2e.podkit import Bench, echo, pod
from tests.support.local_cluster import LocalCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def serials(cluster: LocalCluster) -> dict[str, str]:
    return {
        row["name"]: row["serial"]
        for row in json.loads(cluster.kuberaft("certs", "check", "--within", "0", "-o", "json"))
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


def test_authorities_are_exchanged_while_clients_go_on(small_cluster: LocalCluster) -> None:
    before, ids = serials(small_cluster), small_cluster.process_ids()
    copied = LocalCluster(small_cluster.dir)
    copied.kubeconfig = small_cluster.dir.with_suffix(".before")
    copied.kubeconfig.write_bytes(small_cluster.kubeconfig.read_bytes())
    small_cluster.kuberaft("certs", "renew", "--ca")
    after = serials(small_cluster)
    assert [name for name in before if before[name] == after[name]] == []
    for client in (small_cluster, copied):
        assert client.kubectl("get", "nodes", "-o", "name") == "node/w1\n"
    small_cluster.kuberaft("certs", "renew", "--drop-old-ca")
    eventually(lambda: copied.run_kubectl("get", "nodes").returncode, "the old authority is trusted no more")
    assert small_cluster.kubectl("get", "--raw", "/api/v1/nodes/w1/proxy/healthz") == "ok"
    trusted = (small_cluster.dir / "pki/cluster/ca.crt").read_text()
    eventually(
        lambda: small_cluster.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"] == trusted,
        "pods are told of the authorities as they are now",
    )
    assert small_cluster.process_ids() == ids


def test_a_kubelet_renews_its_own_before_it_ends(small_cluster: LocalCluster) -> None:
    layout = Layout.at(small_cluster.dir)
    topology, addresses = renewal.known(layout)
    [kubelet] = [i for i in plan.identities(topology, addresses) if i.path == "cluster/kubelet-w1"]
    pki.renew(layout.pki, [kubelet], datetime.now(UTC) - timedelta(days=340))
    write_kubeconfigs(layout, topology, addresses, small_cluster.status()["server"])
    assert serials(small_cluster)["config/w1.kubeconfig"]

    def renewed() -> str | None:
        return serials(small_cluster).get("workers/w1/pki/kubelet-client-current.pem")

    eventually(renewed, "the kubelet has a certificate of its own")
    assert small_cluster.kubectl("get", "csr", "-o", "name").startswith("certificatesigningrequest")
    report = small_cluster.run_kuberaft("certs", "check", "--within", "30").stdout
    assert "kubelet-client-current.pem: " not in report  # no problem with it
