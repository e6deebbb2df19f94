"""kubectl's server-side apply: conflicts, force, managed fields shown, and the way from client-side apply."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server import api_server
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """Runs kubectl as an administrator; standard input is a manifest."""
    program, home = require_tool("kubectl"), tmp_path_factory.mktemp("home")
    with api_server() as url:
        login = [f"--server={url}", "--insecure-skip-tls-verify", "--token=admintoken"]

        def run(command: str, manifest: Any = None) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [program, *login, *command.split()],
                input=json.dumps(manifest) if manifest is not None else "",
                capture_output=True,
                text=True,
                env={"HOME": str(home), "PATH": os.environ["PATH"]},
                timeout=30,
            )

        yield run


def deployment(name: str, replicas: int | None, image: str = "nginx:1") -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def managers(kubectl: Kubectl, target: str) -> dict[str, Any]:
    obj = json.loads(succeed(kubectl(f"get {target} -o json --show-managed-fields")))
    return {f"{e['manager']} {e['operation']}": e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


def test_apply_conflict_force_and_diff(kubectl: Kubectl) -> None:
    apply = "apply --server-side -f -"
    assert "serverside-applied" in succeed(kubectl(apply, deployment("web", 2)))
    assert "serverside-applied" in succeed(kubectl(apply, deployment("web", 2)))
    succeed(kubectl("scale deployment web --replicas=5"))
    refused = kubectl(apply, deployment("web", 2, "nginx:2"))
    assert refused.returncode != 0
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused.stderr
    assert "--force-conflicts" in refused.stderr
    assert kubectl("diff --server-side --force-conflicts -f -", deployment("web", 2)).returncode == 1
    succeed(kubectl(f"{apply} --force-conflicts", deployment("web", 2, "nginx:2")))
    found = managers(kubectl, "deployment/web")
    assert set(found) == {"kubectl Apply"}
    assert found["kubectl Apply"]["f:spec"]["f:replicas"] == {}
    shown = json.loads(succeed(kubectl("get deployment web -o json")))
    assert "managedFields" not in shown["metadata"]
    assert shown["spec"]["replicas"] == 2


def test_handing_a_field_over(kubectl: Kubectl) -> None:
    apply = "apply --server-side -f -"
    succeed(kubectl(apply, deployment("shared", 3)))
    other = {**deployment("shared", 3), "spec": {"replicas": 3}}
    succeed(kubectl(f"{apply} --field-manager=other --validate=false", other))
    succeed(kubectl(apply, deployment("shared", None)))
    assert managers(kubectl, "deployment/shared")["other Apply"] == {"f:spec": {"f:replicas": {}}}
    assert json.loads(succeed(kubectl("get deployment shared -o json")))["spec"]["replicas"] == 3


def test_from_client_side_apply_and_back(kubectl: Kubectl, tmp_path: Path) -> None:
    succeed(kubectl("apply -f -", deployment("moved", 1)))
    assert set(managers(kubectl, "deployment/moved")) == {"kubectl-client-side-apply Update"}
    succeed(kubectl("apply --server-side -f -", deployment("moved", 2)))
    found = managers(kubectl, "deployment/moved")
    assert "kubectl Apply" in found
    obj = json.loads(succeed(kubectl("get deployment moved -o json")))
    assert obj["spec"]["replicas"] == 2
    assert json.loads(obj["metadata"]["annotations"][LAST_APPLIED])["spec"]["replicas"] == 2
    manifest = deployment("moved", 4)
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"] = []
    succeed(kubectl("apply -f -", manifest))
    obj = json.loads(succeed(kubectl("get deployment moved -o json")))
    assert obj["spec"]["replicas"] == 4
    assert "ports" not in obj["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("kind", ["configmap", "service", "clusterrole"])
def test_creating_other_kinds(kubectl: Kubectl, kind: str) -> None:
    command = {
        "configmap": "create configmap made --from-literal=a=b",
        "service": "create service nodeport made --tcp=80:8080",
        "clusterrole": "create clusterrole made --verb=get --resource=pods",
    }[kind]
    manifest = json.loads(succeed(kubectl(f"{command} --dry-run=client -o json")))
    for words in ("serverside-applied", "serverside-applied"):
        assert words in succeed(kubectl("apply --server-side -f -", manifest))
    succeed(kubectl("apply --server-side --dry-run=server -f -", manifest))
    assert "kubectl Apply" in managers(kubectl, f"{kind}/made")
