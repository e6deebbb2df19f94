"""Certificates of a running cluster are renewed by one command, and nobody who uses it meanwhile notices."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from components.cluster import pki, plan, renewal
from components.cluster.layout import Layout
from components.cluster.prepare import write_kubeconfigs
from tests.e2e.podkit import Bench, echo, pod
from tests.support.local_cluster import LocalCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


TOPOLOGY = "name: lone\nmasters: {count: 1, apiPort: 0}\nworkers: {count: 1}\n"


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One of its own: its certificates are not what they were afterwards."""
    cluster = LocalCluster(tmp_path_factory.mktemp("cluster") / "lone")
    try:
        cluster.up(TOPOLOGY)
        yield cluster
    finally:
        cluster.close()


def serials(cluster: LocalCluster) -> dict[str, str]:
    return {
        row["name"]: row["serial"]
        for row in json.loads(cluster.kuberaft("certs", "check", "--within", "0", "-o", "json"))
    }


def test_all_are_renewed_and_taken_up_without_a_restart(lone: LocalCluster) -> None:
    bench = Bench(lone)
    ids, before = lone.process_ids(), serials(lone)
    copied = LocalCluster(lone.dir)
    copied.kubeconfig = lone.dir.with_suffix(".kubeconfig")
    copied.kubeconfig.write_bytes(lone.kubeconfig.read_bytes())
    told = lone.kuberaft("certs", "renew", "--all")
    after = serials(lone)
    assert {name for name in before if before[name] == after[name]} == {
        f"{name}/ca" for name in pki.AUTHORITIES
    }
    served = {line.split()[0] for line in told.splitlines() if line.endswith(" served")}
    assert served == {"cluster/apiserver-m1", "cluster/kubelet-w1"}  # a lone member of the store has no peers
    bench.apply(pod("after", echo()))
    bench.phase("after", "Running")  # scheduler, controllers and kubelet work on
    assert lone.kubectl("get", "--raw", "/api/v1/nodes/w1/proxy/healthz") == "ok"
    assert lone.process_ids() == ids
    assert copied.kubectl("get", "nodes", "-o", "name") == "node/w1\n"  # a copy from before is still good


def test_authorities_are_exchanged_while_clients_go_on(lone: LocalCluster) -> None:
    before, ids = serials(lone), lone.process_ids()
    copied = LocalCluster(lone.dir)
    copied.kubeconfig = lone.dir.with_suffix(".before")
    copied.kubeconfig.write_bytes(lone.kubeconfig.read_bytes())
    lone.kuberaft("certs", "renew", "--ca")
    after = serials(lone)
    assert [name for name in before if before[name] == after[name]] == []
    for client in (lone, copied):
        assert client.kubectl("get", "nodes", "-o", "name") == "node/w1\n"
    lone.kuberaft("certs", "renew", "--drop-old-ca")
    eventually(lambda: copied.run_kubectl("get", "nodes").returncode, "the old authority is trusted no more")
    assert lone.kubectl("get", "--raw", "/api/v1/nodes/w1/proxy/healthz") == "ok"
    trusted = (lone.dir / "pki/cluster/ca.crt").read_text()
    eventually(
        lambda: lone.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"] == trusted,
        "pods are told of the authorities as they are now",
    )
    assert lone.process_ids() == ids


def test_a_kubelet_renews_its_own_before_it_ends(lone: LocalCluster) -> None:
    layout = Layout.at(lone.dir)
    topology, addresses = renewal.known(layout)
    [kubelet] = [i for i in plan.identities(topology, addresses) if i.path == "cluster/kubelet-w1"]
    pki.renew(layout.pki, [kubelet], datetime.now(UTC) - timedelta(days=340))
    write_kubeconfigs(layout, topology, addresses, lone.status()["server"])
    assert serials(lone)["config/w1.kubeconfig"]

    def renewed() -> str | None:
        return serials(lone).get("workers/w1/pki/kubelet-client-current.pem")

    eventually(renewed, "the kubelet has a certificate of its own")
    assert lone.kubectl("get", "csr", "-o", "name").startswith("certificatesigningrequest")
    report = lone.run_kuberaft("certs", "check", "--within", "30").stdout
    assert "kubelet-client-current.pem: " not in report  # no problem with it


def test_the_key_of_tokens_is_exchanged_while_clients_go_on(lone: LocalCluster) -> None:
    ids = lone.process_ids()

    def token() -> str:
        return lone.kubectl("create", "token", "default").strip()

    def accepted(given: str) -> bool:
        """By the API server; not asked through kubectl, which shows its client's certificate too."""
        server = lone.status()["server"]
        asked = urllib.request.Request(
            f"{server}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}',
            {"Authorization": f"Bearer {given}", "Content-Type": "application/json"},
        )
        anyone = ssl._create_unverified_context()
        with (
            contextlib.suppress(urllib.error.HTTPError),
            urllib.request.urlopen(asked, timeout=5, context=anyone) as answer,
        ):
            return str(json.load(answer)["status"]["userInfo"]["username"]).endswith(":default")
        return False

    old, keys = token(), json.loads(lone.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]
    assert "those of the old one stay good" in lone.kuberaft("certs", "renew", "--token-key")
    found = eventually(
        lambda: (
            len(known := json.loads(lone.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]) == 2 and known
        ),
        "both keys are published",
    )
    assert keys[0] in found
    new = eventually(
        lambda: (given := token()) and kid(given) != keys[0]["kid"] and given, "the new key signs tokens"
    )
    assert accepted(old)
    assert accepted(new)
    lone.kuberaft("certs", "renew", "--drop-old-token-keys")
    eventually(lambda: not accepted(old), "tokens of the old key are refused", 40)
    assert accepted(new)
    assert lone.process_ids() == ids


def kid(token: str) -> str:
    """The key that has signed it."""
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
