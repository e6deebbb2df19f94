"""An operator with kopf, unmodified, as a process of its own: handlers of every kind, finalizers, timers, events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event

from tests.clients import operator_with_kopf
from tests.clients.here import Here
from tests.clients.test_lightkube import config_map, deployment
from tests.support.local_cluster import eventually

pytestmark = pytest.mark.e2e
STOP_SECONDS = 20
FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"


@pytest.fixture(scope="module")
def k(api: Here) -> Iterator[Client]:
    with Client(config=KubeConfig.from_file(api.kubeconfig)) as found:
        found.create(_handled_before())
        yield found


def _handled_before() -> ConfigMap:
    """As an operator that is gone has left it."""
    made = config_map("before", operator_with_kopf.LABELS)
    seen = {"metadata": {"labels": operator_with_kopf.LABELS}}
    assert made.metadata is not None
    made.metadata.annotations = {"kopf.zalando.org/last-handled-configuration": json.dumps(seen)}
    made.metadata.finalizers = [FINALIZER]
    return made


@pytest.fixture(scope="module")
def operator(
    api: Here, k: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """Running; it must end by itself when asked, and nothing may have gone wrong in it."""
    log = tmp_path_factory.mktemp("kopf") / "log"
    file = str(operator_with_kopf.__file__)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", "default", file]
    environment = {**os.environ, "KUBECONFIG": str(api.kubeconfig)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
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


def annotations(k: Client, name: str) -> dict[str, str]:
    return k.get(ConfigMap, name).metadata.annotations or {}


def has(k: Client, name: str, **wanted: str) -> Callable[[], bool]:
    return lambda: wanted.items() <= annotations(k, name).items()


def gone(k: Client, name: str) -> bool:
    try:
        k.get(ConfigMap, name)
    except ApiError as error:
        return error.status.code == 404
    return False


def test_what_was_there_before_is_resumed(operator: Any, k: Client) -> None:
    eventually(has(k, "before", resumed="yes", ticks="3"), "the object of before is handled")


def test_an_object_is_handled_from_its_creation_to_its_end(operator: Any, k: Client) -> None:
    k.create(config_map("one", operator_with_kopf.LABELS, a="1"))
    eventually(has(k, "one", created="1", daemon="came and went", ticks="3"), "all handlers of a creation")
    made = k.get(ConfigMap, "one")
    assert made.metadata.finalizers == [FINALIZER]
    assert "kopf.zalando.org/last-handled-configuration" in made.metadata.annotations
    k.patch(ConfigMap, "one", {"data": {"a": "2"}})
    eventually(has(k, "one", updated="1 to 2"), "the handler of an update")
    k.delete(ConfigMap, "one")
    eventually(lambda: gone(k, "one"), "the finalizer is taken off")
    eventually(
        lambda: {"Updated", "Deleted"} <= reasons(k, "one"), "kopf has posted its events, beside all that"
    )


def reasons(k: Client, name: str) -> set[str | None]:
    return {event.reason for event in k.list(Event, fields={"involvedObject.name": name})}


def test_a_status_is_patched(operator: Any, k: Client) -> None:
    k.create(deployment("status"))
    eventually(lambda: (k.get(Deployment, "status").status.replicas or 0) == 1, "the status follows")
    k.patch(Deployment, "status", {"spec": {"replicas": 5}})
    eventually(lambda: k.get(Deployment, "status").status.replicas == 5, "the status follows")
    assert k.get(Deployment, "status").metadata.generation == 2


def test_it_goes_on_when_its_watches_break_and_the_past_is_forgotten(
    operator: Any, api: Here, k: Client
) -> None:
    assert api.cut() > 0
    k.create(config_map("two", operator_with_kopf.LABELS))
    api.forget()
    api.cut()
    eventually(has(k, "two", created="1"), "an object made meanwhile is handled")
    assert operator.poll() is None
