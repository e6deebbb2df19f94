"""What kubectl's typed commands send as protobuf makes the same objects as the same manifests sent as JSON."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.server import api_server
from tests.support.tools import require_tool
from tests.unit.apiserver.http.protobuf.encoder import msg, num, unknown

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Kubectl = Callable[..., str]
TYPED, FROM_MANIFEST = "typed", "manifest"  # two namespaces
OWN = ("uid", "resourceVersion", "creationTimestamp", "namespace", "managedFields", "selfLink")
PROTOBUF = "application/vnd.kubernetes.protobuf"

NAMESPACED = {
    "configmaps/cm": "create configmap cm --from-literal=a=b",
    "configmaps/bin": "create configmap bin --from-file=binary={binary}",
    "deployments.apps/web": "create deployment web --image=nginx --replicas=2 --port=80",
    "secrets/s": "create secret generic s --from-literal=x=y --type=example.com/t",
    "secrets/reg": "create secret docker-registry reg --docker-username=u --docker-password=p --docker-server=h",
    "serviceaccounts/sa": "create serviceaccount sa",
    "services/named": "create service clusterip named --clusterip=None --tcp=80:http",
    "services/external": "create service externalname external --external-name=a.example.com",
    "jobs.batch/j": "create job j --image=busybox -- date -u",
    "cronjobs.batch/cj": "create cronjob cj --image=busybox --schedule=*/5_*_*_*_* --restart=Never",
    "roles.rbac.authorization.k8s.io/r": "create role r --verb=get,list --resource=pods,deployments.apps",
    "rolebindings.rbac.authorization.k8s.io/rb": "create rolebinding rb --role=r --user=u --group=g",
    "resourcequotas/q": "create quota q --hard=cpu=1000m,memory=1Gi,pods=0 --scopes=NotTerminating",
    "poddisruptionbudgets.policy/half": "create poddisruptionbudget half --selector=a=b --min-available=50%",
    "poddisruptionbudgets.policy/two": "create poddisruptionbudget two --selector=a=b --max-unavailable=2",
    "ingresses.networking.k8s.io/ing": "create ingress ing --rule=a.com/x*=svc:80,tls=t --class=c",
    "ingresses.networking.k8s.io/port": "create ingress port --default-backend=svc:http --annotation=a/b=c",
}
CLUSTER_WIDE = {
    "namespaces/extra": "create namespace extra",
    "clusterroles.rbac.authorization.k8s.io/cr": "create clusterrole cr --verb=get --non-resource-url=/x/*",
    "clusterroles.rbac.authorization.k8s.io/agg": "create clusterrole agg --aggregation-rule=a/b=true",
    "clusterrolebindings.rbac.authorization.k8s.io/crb": "create clusterrolebinding crb --clusterrole=cr --user=u",
    "priorityclasses.scheduling.k8s.io/pc": "create priorityclass pc --value=-10 --description=d",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_tool("kubectl")
    with api_server(*_signing_flags(tmp_path_factory.mktemp("keys"))) as url:
        yield url


@pytest.fixture(scope="module")
def kubectl(server: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Runs kubectl as an administrator; answers with what it printed. An underscore stands for a space in a word."""
    home = tmp_path_factory.mktemp("home")
    (home / "binary").write_bytes(bytes(range(256)))
    login = [f"--server={server}", "--insecure-skip-tls-verify", "--token=admintoken"]

    def run(command: str, *flags: str, stdin: str = "") -> str:
        words = [word.replace("_", " ") for word in command.format(binary=home / "binary").split()]
        done = subprocess.run(
            [require_tool("kubectl"), *login, *flags, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            timeout=30,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout + done.stderr

    for namespace in (TYPED, FROM_MANIFEST):
        run(f"create namespace {namespace}")
    return run


def _signing_flags(folder: Path) -> tuple[str, ...]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "sa.key", folder / "sa.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return (
        *("--service-account-signing-key-file", str(private)),
        *("--service-account-key-file", str(public)),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
    )


def stored(kubectl: Kubectl, target: str, namespace: str) -> dict[str, Any]:
    """An object without what is its own alone."""
    text = kubectl(f"get {target} -o json", "-n", namespace)
    uid = json.loads(text)["metadata"]["uid"]
    obj: dict[str, Any] = json.loads(text.replace(uid, "its own"))  # a job's labels and selector name it
    obj["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in OWN}
    return obj


@pytest.mark.parametrize("target", NAMESPACED)
def test_namespaced_objects_equal_those_of_their_manifests(kubectl: Kubectl, target: str) -> None:
    command, before, after = NAMESPACED[target].partition(" -- ")
    manifest = kubectl(f"{command} --dry-run=client -o json{before}{after}")
    assert kubectl(f"{command}{before}{after}", "-n", TYPED).strip().endswith("created")
    kubectl("create -f -", "-n", FROM_MANIFEST, stdin=manifest)
    assert stored(kubectl, target, TYPED) == stored(kubectl, target, FROM_MANIFEST)


@pytest.mark.parametrize("target", CLUSTER_WIDE)
def test_cluster_wide_objects_equal_those_of_their_manifests(kubectl: Kubectl, target: str) -> None:
    command = CLUSTER_WIDE[target]
    manifest = kubectl(f"{command} --dry-run=client -o json")
    kubectl(command)
    typed = stored(kubectl, target, TYPED)
    kubectl(f"delete {target} --wait=false")
    if target.startswith("namespaces/"):  # it stays until a controller has emptied it
        manifest = manifest.replace('"extra"', '"again"')
        typed = json.loads(json.dumps(typed).replace('"extra"', '"again"'))
        target = "namespaces/again"
    kubectl("create -f -", stdin=manifest)
    assert typed == stored(kubectl, target, TYPED)


def test_the_bodies_are_protobuf(kubectl: Kubectl) -> None:
    """Else the comparisons above compare JSON with JSON."""
    assert f"Content-Type: {PROTOBUF}" in kubectl("create configmap proof --from-literal=a=b -v=8")


def test_autoscale(kubectl: Kubectl) -> None:
    kubectl("create deployment scaled --image=nginx", "-n", TYPED)
    kubectl("autoscale deployment scaled --min=2 --max=5", "-n", TYPED)
    spec = json.loads(kubectl("get horizontalpodautoscalers scaled -o json", "-n", TYPED))["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}


def test_node_port(kubectl: Kubectl) -> None:
    kubectl("create service nodeport np --tcp=80:8080 --node-port=30123", "-n", TYPED)
    (port,) = json.loads(kubectl("get service np -o json", "-n", TYPED))["spec"]["ports"]
    assert (port["port"], port["targetPort"], port["nodePort"]) == (80, 8080, 30123)


def test_token(kubectl: Kubectl) -> None:
    kubectl("create serviceaccount holder", "-n", TYPED)
    token = kubectl("create token holder --duration=20m --audience=a.example.com", "-n", TYPED).strip()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{TYPED}:holder"
    assert claims["aud"] == ["a.example.com"]
    assert claims["exp"] - claims["iat"] == 20 * 60


def test_auth_questions(kubectl: Kubectl) -> None:
    assert kubectl("auth can-i create pods") == "yes\n"
    assert "system:masters" in kubectl("auth whoami")
    assert "*.*" in kubectl("auth can-i --list")


def test_eviction(kubectl: Kubectl, server: str) -> None:
    """As newer kubectl sends it to drain a node; older ones send it as JSON."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "evicted"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False},
    }
    kubectl("create serviceaccount default", "-n", TYPED)
    kubectl("create -f -", "-n", TYPED, stdin=json.dumps(pod))
    url = f"{server}/api/v1/namespaces/{TYPED}/pods/evicted/eviction"
    named = msg(1, msg(1, "evicted"), msg(2, ""), msg(3, TYPED))
    assert send("POST", url, unknown("policy/v1", "Eviction", named, msg(2, num(1, 0), msg(5, "All")))) == 201
    kubectl("get pod evicted", "-n", TYPED)
    assert send("POST", url, unknown("policy/v1", "Eviction", named, msg(2, num(1, 0)))) == 201
    assert "evicted" not in kubectl("get pods", "-n", TYPED)


def test_delete_options(kubectl: Kubectl, server: str) -> None:
    """Those of a delete through client-go's typed clients; kubectl itself sends them as JSON."""
    kubectl("create configmap precious", "-n", TYPED)
    url = f"{server}/api/v1/namespaces/{TYPED}/configmaps/precious"
    assert send("DELETE", url, unknown("v1", "DeleteOptions", msg(2, msg(1, "another-uid")))) == 409
    assert send("DELETE", url, unknown("v1", "DeleteOptions", msg(2, b"\x0a\x50"))) == 400
    assert send("DELETE", url, unknown("v1", "DeleteOptions", msg(5, "All"))) == 200
    kubectl("get configmap precious", "-n", TYPED)
    assert send("DELETE", url, unknown("v1", "DeleteOptions", msg(4, "Background"))) == 200
    assert "precious" not in kubectl("get configmaps", "-n", TYPED)


def send(method: str, url: str, body: bytes) -> int:
    """The code of the answer to a protobuf request."""
    headers = {"Authorization": "Bearer admintoken", "Content-Type": PROTOBUF}
    request = urllib.request.Request(url, body, headers, method=method)
    context = ssl._create_unverified_context()  # the server's certificate is its own
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code
