"""What kubectl asked a real kube-apiserver 1.36 and what it was answered, command by command, is what it asks and is
answered here.

The recorded kubectl is of the same version as the server; an older one asks a little differently. So a command must
get the recorded answers to those of the recorded requests that it sends, and must send the one that it is about:
the last that changes something, or else the last.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conformance.server import CORPUS, api_server
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Request = tuple[str, str, int]
Kubectl = Callable[..., list[Request]]
RECORDED: dict[str, list[Request]] = {
    command: [(method, path, code) for method, path, code in requests]
    for command, requests in json.loads((CORPUS / "kubectl_requests.json").read_text()).items()
}
NAMESPACE = "kreq"
_SENT = re.compile(r'(?:verb="(\w+)" url="([^"]+)" status="|\b([A-Z]+) (https://\S+) )(\d{3})\b')
_OLDER = {"/apis/autoscaling/v1/": "/apis/autoscaling/v2/"}  # what kubectl before 1.33 asks instead
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
        },
    },
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm1"}, "data": {"a": "b"}}
FILES = {
    "dep.yaml": DEPLOYMENT,
    "dep2.yaml": {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replicas": 3}},  # type: ignore[dict-item]
    "cm.yaml": CONFIG_MAP,
    "cm2.yaml": {**CONFIG_MAP, "data": {"a": "c"}},
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "kn1"},
    "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p1", "labels": {"app": "web"}},
    "spec": {
        "nodeName": "kn1",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "busybox"}],
    },
}
# Before these commands the pod is made anew: an earlier one has deleted it.
WITH_NEW_POD = ("delete pod p1", "delete pods -l app=web")
# They wait for what never comes here and take their seconds: waiting itself is tested on a whole cluster.
SLOW = ("rollout status", "wait --for", "get pods -w")
# Commands about other parts: streams, custom resources, server-side apply have tests of their own.
ELSEWHERE = (
    "exec",
    "apply --server-side",
    "apply -f crd",
    "apply -f cr.",
    "get kwidgets",
    "delete crd",
)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """Runs a command; answers with the requests it sent."""
    home = tmp_path_factory.mktemp("home")
    for name, document in FILES.items():
        (home / name).write_text(json.dumps(document))
    with api_server() as url:
        yield lambda command, stdin=None: _run(url, home, command, stdin)


def _run(url: str, home: Path, command: str, stdin: dict[str, object] | None) -> list[Request]:
    """The namespace comes from the context: some commands look elsewhere unless told where."""
    (home / "config").write_text(json.dumps(_config(url)))
    done = subprocess.run(
        [require_tool("kubectl"), "--kubeconfig", "config", "-v=6", *_words(command)],
        input=json.dumps(stdin) if stdin is not None else "",
        capture_output=True,
        text=True,
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        timeout=60,
        check=False,
    )
    found = [
        (verb or other, link or plain, code) for verb, link, other, plain, code in _SENT.findall(done.stderr)
    ]
    assert found, f"kubectl {command} sent nothing: {done.stderr}"
    return [(method, _path(link), int(code)) for method, link, code in found]


def _config(url: str) -> dict[str, object]:
    context = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": "admintoken"}}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }


def _path(link: str) -> str:
    path = urlsplit(link).path
    for older, newer in _OLDER.items():
        path = path.replace(older, newer)
    return path


def _words(command: str) -> list[str]:
    """Patches are recorded without the quotes that a shell would need."""
    head, found, patch = command.partition(" -p ")
    return [*shlex.split(head.partition("(")[0]), *(["-p", patch] if found else [])]


def _about(requests: list[Request]) -> Request:
    changes = [request for request in requests if request[0] in _CHANGES]
    return (changes or requests)[-1]


def test_kubectl_asks_and_is_answered_as_recorded(kubectl: Kubectl) -> None:
    kubectl(f"create namespace {NAMESPACE}")
    kubectl("create serviceaccount default")  # no controller runs here that would
    kubectl("create -f -", NODE)
    kubectl("create -f -", POD)
    wrong = {}
    for command, recorded in RECORDED.items():
        if command.startswith((*SLOW, *ELSEWHERE)):
            continue
        if command in WITH_NEW_POD:
            kubectl("create -f -", POD)
        sent = kubectl(command)
        expected = {(method, path): code for method, path, code in recorded if code is not None}
        different = [r for r in sent if r[2] != expected.get((r[0], r[1]), r[2])]
        if different or _about(recorded) not in sent:
            wrong[command] = f"sent {sent}, recorded {recorded}"
    assert not wrong, "\n".join(f"{command}: {text}" for command, text in wrong.items())
