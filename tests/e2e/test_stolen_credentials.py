"""Who steals the credentials of one component of a running cluster gets what that component needs, and no more."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.cluster import kubeconfigs
from tests.e2e.podkit import Bench, Object, echo, pod
from tests.support.local_cluster import LocalCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KUBELET, SCHEDULER, MANAGER, PROXY = "w1", "kube-scheduler-m1", "kube-controller-manager-m1", "kube-proxy"
OTHER = "w2"  # a node that exists as an object only


def secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": name}}


def using(name: str, node: str, kept: str) -> Object:
    return pod(name, echo(), nodeName=node, volumes=[{"name": "v", "secret": {"secretName": kept}}])


@pytest.fixture(scope="module")
def stage(small_cluster: LocalCluster) -> LocalCluster:
    """Two nodes, one pod on each, one secret for each, and a secret of nobody."""
    bench = Bench(small_cluster)
    bench.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": OTHER}})
    bench.apply(*(secret(name) for name in ("mine", "theirs", "nobodys")))
    bench.apply(using("here", KUBELET, "mine"), using("there", OTHER, "theirs"))
    bench.phase("here", "Running")
    return small_cluster


def as_thief(cluster: LocalCluster, whose: str, *args: str, stdin: str | None = None) -> tuple[bool, str]:
    """Whether kubectl succeeded with the stolen credentials, and what it said."""
    stolen = LocalCluster(cluster.dir)
    stolen.kubeconfig = next(cluster.dir.rglob(f"{whose}.kubeconfig"))
    done = stolen.run_kubectl(*args, stdin=stdin)
    return done.returncode == 0, done.stdout + done.stderr


def test_a_kubelet_reads_the_secrets_of_its_own_pods_alone(stage: LocalCluster) -> None:
    allowed, found = as_thief(stage, KUBELET, "get", "secret", "mine", "-o", "name")
    assert (allowed, found) == (True, "secret/mine\n")
    for name in ("theirs", "nobodys"):
        allowed, text = as_thief(stage, KUBELET, "get", "secret", name)
        assert not allowed
        assert "no relationship found between node 'w1' and this object" in text
    assert not as_thief(stage, KUBELET, "get", "secrets", "--all-namespaces")[0]
    assert not as_thief(stage, KUBELET, "get", "pods")[0]
    assert as_thief(stage, KUBELET, "get", "pods", "--field-selector", "spec.nodeName=w1")[0]


def test_a_kubelet_touches_nothing_of_other_nodes(stage: LocalCluster) -> None:
    refusals = {
        ("label", "node", OTHER, "stolen=yes"): "cannot read 'w2', only its own Node object",
        ("delete", "pod", "there"): "can only delete pods with spec.nodeName set to itself",
        ("create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=there",
         f"--bound-object-uid={uid(stage, 'there')}"): "bound to a pod scheduled on a different node",
        ("create", "token", "default"): "node requested token not bound to a pod",
        ("label", "node", KUBELET, "node-restriction.kubernetes.io/trusted=yes"): "is not allowed to modify labels",
        ("taint", "node", KUBELET, "a=b:NoSchedule"): "is not allowed to modify taints",
    }  # fmt: skip
    for command, refusal in refusals.items():
        allowed, text = as_thief(stage, KUBELET, *command)
        assert not allowed, command
        assert refusal in text, command
    mine = as_thief(stage, KUBELET, "create", "token", "default", "--bound-object-kind=Pod",
                    "--bound-object-name=here", f"--bound-object-uid={uid(stage, 'here')}")  # fmt: skip
    assert mine[0], mine[1]


def uid(cluster: LocalCluster, name: str) -> str:
    return str(cluster.get("pod", name)["metadata"]["uid"])


@pytest.mark.parametrize("whose", [SCHEDULER, PROXY])
def test_scheduler_and_proxy_read_no_secrets(stage: LocalCluster, whose: str) -> None:
    for command in (("get", "secret", "mine"), ("get", "secrets", "-A"), ("create", "token", "default")):
        allowed, text = as_thief(stage, whose, *command)
        assert not allowed
        assert "forbidden" in text


def test_no_component_makes_itself_an_administrator(stage: LocalCluster) -> None:
    for whose in (KUBELET, SCHEDULER, PROXY, MANAGER):
        command = ("create", "clusterrolebinding", "mine", "--clusterrole=cluster-admin", f"--user={whose}")
        assert not as_thief(stage, whose, *command)[0], whose
        assert not as_thief(stage, whose, "get", "nodes", "--as=root", "--as-group=system:masters")[0], whose


def test_who_am_i_and_what_may_i_do(stage: LocalCluster) -> None:
    _, text = as_thief(stage, KUBELET, "auth", "whoami", "-o", "json")
    info: dict[str, Any] = json.loads(text)["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("system:node:w1", ["system:nodes", "system:authenticated"])
    assert as_thief(stage, SCHEDULER, "auth", "can-i", "create", "pods", "--subresource=binding")[0]
    assert not as_thief(stage, SCHEDULER, "auth", "can-i", "get", "secrets")[0]
    _, listed = as_thief(stage, SCHEDULER, "auth", "can-i", "--list")
    assert "pods/binding" in listed
    assert "secrets" not in listed


def test_the_aggregated_roles_are_filled(stage: LocalCluster) -> None:
    def rules() -> list[Object]:
        return stage.get("clusterrole", "view")["rules"] or []

    eventually(rules, "the rules of view are written")
    assert not any("secrets" in rule["resources"] for rule in rules())


def test_a_certificate_from_request_to_use(stage: LocalCluster, tmp_path: Path) -> None:
    """As the documentation of Kubernetes tells it: ask, approve, use."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    pem = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    encoded = base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {
        "request": encoded,
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    manifest = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
    Bench(stage).apply({**manifest, "metadata": {"name": "jane"}})
    assert not as_thief(stage, MANAGER, "certificate", "approve", "jane")[0]
    stage.kubectl("certificate", "approve", "jane")

    def issued() -> str | None:
        found = stage.get("csr", "jane")["status"].get("certificate")
        return str(found) if found else None

    files = tmp_path / "jane.crt", tmp_path / "jane.key"
    files[0].write_bytes(base64.b64decode(eventually(issued, "the certificate is signed")))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    # The kubeconfig's own user goes before flags, so the file is one without any.
    anonymous = tmp_path / "kubeconfig"
    document = yaml.safe_load(stage.kubeconfig.read_text())
    document["users"] = [{"name": user["name"], "user": {}} for user in document["users"]]
    anonymous.write_text(yaml.safe_dump(document))
    jane = LocalCluster(stage.dir)
    jane.kubeconfig = anonymous
    flags = f"--client-certificate={files[0]}", f"--client-key={files[1]}"
    who = json.loads(jane.kubectl(*flags, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == "jane"


def as_identity(cluster: LocalCluster, identity: str, *args: str) -> bool:
    """Whether kubectl succeeds with a certificate for which there is no kubeconfig."""
    stolen = LocalCluster(cluster.dir)
    stolen.kubeconfig = cluster.dir / "pki" / f"{identity}.kubeconfig"
    url = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    stolen.kubeconfig.write_bytes(kubeconfigs.render(cluster.dir / "pki", f"cluster/{identity}", url))
    return stolen.run_kubectl(*args).returncode == 0


def ask_kubelet(cluster: LocalCluster, identity: str, path: str, method: str = "GET") -> int:
    """The status of the running node's kubelet for the holder of that certificate."""
    pki = cluster.dir / "pki" / "cluster"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.check_hostname = False
    context.load_cert_chain(pki / f"{identity}.crt", pki / f"{identity}.key")
    address = cluster.get("node", KUBELET)["status"]["addresses"][0]["address"]
    request = urllib.request.Request(f"https://{address}:10250{path}", method=method)
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def test_a_certificate_of_the_cluster_opens_no_kubelet_by_itself(stage: LocalCluster) -> None:
    command = "/run/default/here/main?cmd=id"
    for identity in (f"kubelet-{KUBELET}", "kube-scheduler", "kube-proxy"):
        assert ask_kubelet(stage, identity, "/containerLogs/default/here/main") == 403, identity
        assert ask_kubelet(stage, identity, command, "POST") == 403, identity
    assert ask_kubelet(stage, "apiserver-kubelet-client", "/pods") == 200
    assert not as_identity(stage, "apiserver-kubelet-client", "get", "secrets", "-A")


def test_no_secret_and_no_token_is_in_any_log(stage: LocalCluster) -> None:
    """Of the secrets and tokens that pods here have used; in the logs of every process of the cluster."""
    canary, bench = "canary-7be1c0d94f", Bench(stage)
    bench.apply({**secret("canary"), "stringData": {"key": canary}})
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "canary", "key": "key"}}}]
    bench.apply(pod("leaky", echo(env=env), nodeName=KUBELET))
    bench.phase("leaky", "Running")
    token = stage.kubectl("create", "token", "default").strip()
    stage.run_kubectl("--token", token, "get", "secrets")
    admin = yaml.safe_load(stage.kubeconfig.read_text())["users"][0]["user"]["client-key-data"]
    hidden = (canary, base64.b64encode(canary.encode()).decode(), token.rpartition(".")[2], admin)
    logs = {path.name: path.read_text(errors="replace") for path in (stage.dir / "logs").iterdir()}
    assert {"m1.log", "w1.log", "supervisor.log"} <= set(logs)
    assert [(name, word) for name, text in logs.items() for word in hidden if word in text] == []
