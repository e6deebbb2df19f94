"""Every component by itself, with the flags of the original: a cluster put together by hand."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conformance.server import api_server
from tests.support.local_cluster import eventually
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

NODE_IP = "127.130.250.1"
APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: echo, image: kuberaft/echo}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
"""


def write_kubeconfig(path: Path, server: str) -> None:
    cluster = {"server": server, "insecure-skip-tls-verify": True}
    context = {"cluster": "c", "user": "admin"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": "admintoken"}}],
        "contexts": [{"name": "c", "context": context}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(config))


@contextlib.contextmanager
def component(name: str, folder: Path, *flags: str) -> Iterator[None]:
    """The running component; its log is shown when the test fails."""
    with (folder / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", f"components.{name}", *flags]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
        assert process.poll() is None, f"{name} ended"
    finally:
        process.terminate()
        try:
            status = process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        print(f"== {name}\n{(folder / f'{name}.log').read_text()}")
    assert status == 0, f"{name} ended with {status}"


def test_components_work_together_when_started_one_by_one(tmp_path: Path) -> None:
    kubectl = [require_tool("kubectl"), "--kubeconfig", str(tmp_path / "kubeconfig")]

    def run(*args: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*kubectl, *args], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    kubeconfig = f"--kubeconfig={tmp_path / 'kubeconfig'}"
    kubelet = (
        *(f"--root-dir={tmp_path / 'kubelet'}", "--hostname-override=n1", f"--node-ip={NODE_IP}"),
        *("--pod-cidr=127.130.1.0/24", "--port=10250"),
    )
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(
            api_server("--service-cluster-ip-range", "127.131.0.0/16", "--allow-loopback-endpoints")
        )
        write_kubeconfig(tmp_path / "kubeconfig", url)
        port = urllib.parse.urlsplit(url).port or 0
        (tmp_path / "ca.crt").write_text(ssl.get_server_certificate(("127.0.0.1", port)))
        root_ca = (f"--root-ca-file={tmp_path / 'ca.crt'}",)
        for name, flags in (("controllers", root_ca), ("scheduler", ()), ("kubelet", kubelet)):
            stack.enter_context(component(name, tmp_path, kubeconfig, *flags))
        proxy = ("--hostname-override=n1", f"--bind-address={NODE_IP}")
        stack.enter_context(component("proxy", tmp_path, kubeconfig, *proxy))
        stack.callback(shutil.rmtree, tmp_path / "kubelet", ignore_errors=True)

        run("apply", "-f", "-", stdin=APP)
        run("rollout", "status", "deployment/web", "--timeout=40s")
        address = run("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")

        def answers() -> bool:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://{address}:8080/", timeout=3) as answer,
            ):
                return b'"node": "n1"' in answer.read()
            return False

        eventually(answers, "the application answers at the cluster IP")
        run("delete", "deployment/web", "--wait=true", "--cascade=foreground")
        eventually(lambda: not run("get", "pods", "-o", "name"), "the pods are gone")
