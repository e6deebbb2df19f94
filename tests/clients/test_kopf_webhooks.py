"""An operator with kopf, unmodified, with its own kind and webhooks, as a service account with no more rights than it
needs: kopf serves over TLS with a certificate of its own authority, and keeps the configurations.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import ApiError, Client, codecs
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.admissionregistration_v1 import (
    MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
)
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.types import PatchType

from tests.clients import operator_with_webhooks
from tests.clients.here import Here
from tests.support.local_cluster import eventually
from tests.support.pki import Pki

pytestmark = pytest.mark.e2e
STOP_SECONDS = 20
NAME = "backups.operator.example.com"
Backup: Any = create_namespaced_resource("operator.example.com", "v1", "Backup", "backups")
CONFIGURATIONS: tuple[Any, ...] = (MutatingWebhookConfiguration, ValidatingWebhookConfiguration)


@pytest.fixture(scope="module")
def k(api: Here) -> Iterator[Client]:
    """With what the operator needs."""
    with Client(config=KubeConfig.from_file(api.kubeconfig)) as found:
        manifest = Path(operator_with_webhooks.__file__).with_name("kopf_webhooks.yaml")
        for obj in codecs.load_all_yaml(manifest.read_text()):
            found.create(obj)
        found.wait(CustomResourceDefinition, NAME, for_conditions=["Established"])
        yield found


@pytest.fixture(scope="module")
def operator(api: Here, k: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Running as its service account, its webhooks in force; it must end by itself when asked."""
    folder = tmp_path_factory.mktemp("kopf")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(as_account(api, k)))
    log = folder / "log"
    file = str(operator_with_webhooks.__file__)
    Pki(folder / "pki").issue("webhooks")
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", "default", file]
    environment = {"KUBECONFIG": str(kubeconfig), "WEBHOOK_CERTIFICATES": str(folder / "pki")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        eventually(lambda: process.poll() is not None or in_force(k), "kopf has configured its webhooks")
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        finally:
            process.kill()
    said = log.read_text()
    assert code == 0, said
    assert "Traceback" not in said, said
    assert "orbidden" not in said, said
    assert not in_force(k)


def as_account(api: Here, k: Client) -> dict[str, Any]:
    """A kubeconfig with a token of the operator's service account."""
    path = "/api/v1/namespaces/default/serviceaccounts/operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    answer = k._client._client.post(path, json=request)
    answer.raise_for_status()
    config: dict[str, Any] = yaml.safe_load(api.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": answer.json()["status"]["token"]}
    return config


def in_force(k: Client) -> bool:
    """Whether kopf's webhooks, all of them, are configured."""
    found = [k.list(kind, fields={"metadata.name": NAME}) for kind in CONFIGURATIONS]
    return [sum(len(one.webhooks or ()) for one in listed) for listed in found] == [1, 3]


def backup(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Any:
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return Backup(metadata=metadata, spec={"target": "etcd", **spec})


def refusal(call: Any, *args: Any, **more: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        call(*args, **more)
    return refused.value.status.code, refused.value.status.message


def test_its_configurations_are_as_kopf_writes_them(operator: Any, k: Client) -> None:
    mutating, validating = (k.get(kind, NAME) for kind in CONFIGURATIONS)
    assert [hook.name for hook in mutating.webhooks] == [f"completed.{NAME}"]
    names = {f"few-copies.{NAME}", f"kept.{NAME}", f"invented.{NAME}"}
    assert {hook.name for hook in validating.webhooks} == names
    for hook in (*mutating.webhooks, *validating.webhooks):
        assert hook.clientConfig.url.startswith("https://127.0.0.1:")
        assert hook.clientConfig.caBundle
        assert (hook.matchPolicy, hook.failurePolicy, hook.timeoutSeconds) == ("Equivalent", "Fail", 30)


def test_an_object_is_completed_checked_and_handled(operator: Any, k: Client) -> None:
    made = k.create(backup("one"))
    assert made.spec == {"target": "etcd", "schedule": "@daily", "copies": 2}
    assert made.metadata.annotations["author"] == "admin"
    eventually(lambda: phase(k, "one") == "Ready with 2", "the operator has handled the creation")
    k.patch(Backup, "one", {"spec": {"copies": 3}}, patch_type=PatchType.MERGE)
    eventually(lambda: phase(k, "one") == "Ready with 3", "the operator has handled the change")


def phase(k: Client, name: str) -> str | None:
    status = k.get(Backup, name).status or {}
    found: str | None = status.get("phase")
    return found


def test_what_its_handlers_refuse(operator: Any, k: Client) -> None:
    k.create(backup("kept", keep=True))
    denied = f'admission webhook "few-copies.{NAME}" denied the request: '
    text = f"{denied}6 copies are too many, with dryrun=False"
    assert refusal(k.create, backup("many", copies=6)) == (422, text)
    text = text.replace("False", "True")
    assert refusal(k.create, backup("many", copies=6), dry_run=True) == (422, text)
    change = {"spec": {"copies": 7}}
    assert refusal(k.patch, Backup, "kept", change, patch_type=PatchType.MERGE)[0] == 422
    denied = f'admission webhook "kept.{NAME}" denied the request: kept is to be kept'
    assert refusal(k.delete, Backup, "kept") == (500, denied)


def test_webhooks_of_a_subresource_choose_by_labels(operator: Any, k: Client) -> None:
    for name, labels in (("strict", {"strict": "yes"}), ("free", {})):
        k.create(backup(name, labels))
        eventually(
            lambda name=name: phase(k, name) == "Ready with 2", "the operator has handled the creation"
        )  # type: ignore[misc]
    invented = {"status": {"phase": "Invented"}}
    denied = f'admission webhook "invented.{NAME}" denied the request: Invented is no phase'
    assert refusal(k.patch, Backup.Status, "strict", invented, patch_type=PatchType.MERGE) == (500, denied)
    k.patch(Backup.Status, "free", invented, patch_type=PatchType.MERGE)
    assert [phase(k, name) for name in ("strict", "free")] == ["Ready with 2", "Invented"]


def test_the_schema_holds_beside_the_webhooks(operator: Any, k: Client) -> None:
    code, text = refusal(k.create, backup("wrong", copies=0))
    assert code == 422
    assert "spec.copies in body should be greater than or equal to 1" in text
    k.create(backup("fixed"))
    change = {"spec": {"target": "other"}}
    code, text = refusal(k.patch, Backup, "fixed", change, patch_type=PatchType.MERGE)
    assert (code, "the target stays" in text) == (422, True)
