"""Custom resources as users of kubectl see them, and as a webhook that converts them does."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.server import api_server
from tests.support.local_cluster import eventually
from tests.support.pki import Pki
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MANIFEST = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What is wanted.
            properties:
              cronSpec: {type: string, description: When it runs., pattern: '^[0-9*/ ]+$'}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
            x-kubernetes-validations:
            - {rule: "self.replicas != 7", message: seven is unlucky}
          status:
            type: object
            properties: {replicas: {type: integer}}
---
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: my}
spec: {cronSpec: "* * * * */5"}
"""


class Kubectl:
    def __init__(self, url: str, folder: Path) -> None:
        self._command = [
            *(
                require_tool("kubectl"),
                "--server",
                url,
                "--token",
                "admintoken",
                "--insecure-skip-tls-verify",
            ),
            *("--cache-dir", str(folder)),
        ]

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *args], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        done = self.run(*args, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *args: str, stdin: str | None = None) -> str:
        done = self.run(*args, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    with api_server() as url:
        yield Kubectl(url, tmp_path_factory.mktemp("kubectl"))


def test_a_definition_and_its_object_in_one_file(kubectl: Kubectl) -> None:
    assert "ensure CRDs are installed first" in kubectl.fails("apply", "-f", "-", stdin=MANIFEST)
    kubectl("wait", "--for", "condition=established", "crd/crontabs.stable.example.com", "--timeout=10s")
    assert "crontab.stable.example.com/my created" in kubectl("apply", "-f", "-", stdin=MANIFEST)
    rows = [line.split(maxsplit=1) for line in kubectl("get", "ct", "--no-headers").splitlines()]
    assert [row[0] for row in rows] == ["my"]
    assert rows[0][1].split() == ["*", "*", "*", "*", "*/5", "1"]
    assert "crontab.stable.example.com/my" in kubectl("get", "all", "-o", "name")
    explained = kubectl("explain", "crontab.spec.cronSpec")
    assert "FIELD: cronSpec <string>" in explained
    assert "When it runs." in explained
    kubectl("scale", "ct/my", "--replicas=3")
    assert kubectl("get", "ct/my", "-o", "jsonpath={.spec.replicas} {.metadata.generation}") == "3 2"
    assert "seven is unlucky" in kubectl.fails("scale", "ct/my", "--replicas=7")
    wrong = MANIFEST.replace('cronSpec: "*', 'nope: 1, cronSpec: "*')
    assert 'unknown field "spec.nope"' in kubectl.fails("apply", "-f", "-", stdin=wrong)
    assert "should match" in kubectl.fails(
        "patch", "ct", "my", "--type=merge", "-p", '{"spec":{"cronSpec":"x"}}'
    )
    kubectl("delete", "crd", "crontabs.stable.example.com")
    assert "could not find the requested resource" in kubectl.fails(
        "get", "--raw", "/apis/stable.example.com/v1"
    )


KNOWN = sorted((Path(__file__).parent / "definitions").glob("*.yaml"))


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.stem)
def test_known_definitions_and_their_objects(kubectl: Kubectl, path: Path) -> None:
    """Each file: a definition after one that is widely used, objects of it, and objects that it refuses."""
    definition, *objects = yaml.safe_load_all(path.read_text())
    kubectl("create", "-f", "-", stdin=yaml.safe_dump(definition))
    name = definition["metadata"]["name"]
    kubectl("wait", "--for", "condition=established", f"crd/{name}", "--timeout=10s")
    refusals = [obj["metadata"].get("annotations", {}).get("refused") for obj in objects]
    good = [obj for obj, refusal in zip(objects, refusals, strict=True) if refusal is None]
    bad = [obj for obj, refusal in zip(objects, refusals, strict=True) if refusal is not None]
    assert kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(good)).count(" created") == len(good)
    done = kubectl.run("create", "-f", "-", stdin=yaml.safe_dump_all(bad))
    assert done.stdout == ""
    assert [refusal for refusal in refusals if refusal and refusal not in done.stderr] == []
    kubectl("delete", "crd", name)


class Converter(BaseHTTPRequestHandler):
    """Between `size` in v1 and `sizes` in v2."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        converted = [self.convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
        body = json.dumps(
            {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def convert(self, obj: dict[str, Any], wanted: str) -> dict[str, Any]:
        result = {**obj, "apiVersion": wanted}
        if wanted.endswith("v2"):
            result["sizes"] = [result.pop("size")]
        else:
            result["size"] = result.pop("sizes")[0]
        return result

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The clientConfig of a running webhook."""
    pki = Pki(tmp_path / "pki")
    pair = pki.issue("webhook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Converter) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}/convert"
        yield {"url": url, "caBundle": base64.b64encode(pki.ca.read_bytes()).decode()}
        server.shutdown()
        thread.join()


def sized(name: str, field: dict[str, Any], *, storage: bool) -> dict[str, Any]:
    schema = {"type": "object", "properties": field}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}


def test_versions_that_a_webhook_converts(kubectl: Kubectl, webhook: dict[str, str]) -> None:
    one = sized("v1", {"size": {"type": "integer"}}, storage=True)
    two = sized("v2", {"sizes": {"type": "array", "items": {"type": "integer"}}}, storage=False)
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": webhook, "conversionReviewVersions": ["v1"]},
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.web.example.com"},
        "spec": {
            "group": "web.example.com",
            "scope": "Namespaced",
            "names": {"plural": "boxes", "kind": "Box"},
            "versions": [one, two],
            "conversion": conversion,
        },
    }
    kubectl("create", "-f", "-", stdin=json.dumps(definition))
    kubectl("wait", "--for", "condition=established", "crd/boxes.web.example.com", "--timeout=10s")
    box = {"apiVersion": "web.example.com/v2", "kind": "Box", "metadata": {"name": "b"}, "sizes": [4]}
    kubectl("create", "-f", "-", stdin=json.dumps(box))
    assert kubectl("get", "boxes.v1.web.example.com", "b", "-o", "jsonpath={.size}") == "4"
    kubectl("patch", "boxes.v1.web.example.com", "b", "--type=merge", "-p", '{"size":5}')
    assert kubectl("get", "boxes.v2.web.example.com", "-o", "jsonpath={.items[*].sizes}") == "[5]"
    conversion["webhook"]["clientConfig"] = {**webhook, "url": "https://127.0.0.1:1/"}  # type: ignore[index]
    kubectl(
        "patch",
        "crd",
        "boxes.web.example.com",
        "--type=merge",
        "-p",
        json.dumps({"spec": definition["spec"]}),
    )
    eventually(
        lambda: kubectl.run("get", "boxes.v2.web.example.com", "b").returncode != 0,
        "the definition with the broken webhook is in force",
    )
    failure = kubectl.fails("get", "boxes.v2.web.example.com", "b")
    assert "conversion webhook for web.example.com/v1, Kind=Box failed" in failure
    kubectl("delete", "crd", "boxes.web.example.com", "--timeout=20s")
