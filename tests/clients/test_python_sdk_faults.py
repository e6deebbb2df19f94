"""The official Python SDK, unmodified, under injected faults: what it gets over by itself, what it tells, and that a
consumer that lists again when it is told so misses nothing and takes nothing twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from components.client.kubeconfig import load
from components.cluster.faults import Faults, document
from tests.clients.here import Here, here

SECONDS = 10
OURS = {"resources": ["configmaps"]}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with here(tmp_path_factory.mktemp("api"), enable_fault_injection=True) as found:
        yield found


@pytest.fixture(scope="module")
def core(api: Here) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(str(api.kubeconfig)) as found:
        yield client.CoreV1Api(found)


class Injected:
    def __init__(self, api: Here) -> None:
        self._config = load(api.kubeconfig)

    def add(self, action: dict[str, Any], match: dict[str, Any] = OURS, **share: Any) -> str:
        async def work() -> str:
            async with Faults([self._config]) as faults:
                return str((await faults.add(document(action, match, share)))["metadata"]["name"])

        return asyncio.run(work())

    def clear(self) -> int:
        """How many requests were met."""

        async def work() -> int:
            async with Faults([self._config]) as faults:
                met = sum(fault["status"]["injected"] for fault in await faults.listed())
                await faults.clear()
                return met

        return asyncio.run(work())


@pytest.fixture
def injected(api: Here, core: client.CoreV1Api) -> Iterator[Injected]:
    found = Injected(api)
    yield found
    found.clear()
    core.delete_collection_namespaced_config_map("default")


def make(core: client.CoreV1Api, name: str, value: str = "1") -> Any:
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={"a": value})
    return core.create_namespaced_config_map("default", body)


@pytest.mark.parametrize("code", [409, 410, 429, 500, 503, 504])
def test_an_error_is_raised_with_its_code_and_the_faults_name(
    core: client.CoreV1Api, injected: Injected, code: int
) -> None:
    name = injected.add({"type": "error", "code": code}, {**OURS, "verbs": ["create"]}, first=1)
    with pytest.raises(ApiException) as refused:
        make(core, "x")
    assert (refused.value.status, refused.value.headers["X-Kuberaft-Fault"]) == (code, name)
    assert make(core, "x").metadata.uid  # nothing had been done


def test_a_lost_answer_leaves_the_write(core: client.CoreV1Api, injected: Injected) -> None:
    injected.add({"type": "drop", "afterEffect": True}, {**OURS, "verbs": ["create"]}, first=1)
    with pytest.raises(Exception, match=r"onnection|RemoteDisconnected|EOF"):
        make(core, "x")
    assert core.read_namespaced_config_map("x", "default").data == {"a": "1"}
    with pytest.raises(ApiException) as refused:
        make(core, "x")
    assert refused.value.status == 409


def test_a_read_goes_on_after_cut_connections(core: client.CoreV1Api, injected: Injected) -> None:
    """urllib3 tries reads again by itself."""
    make(core, "x")
    injected.add({"type": "drop"}, {**OURS, "verbs": ["get"]}, first=2)
    assert core.read_namespaced_config_map("x", "default").data == {"a": "1"}
    assert injected.clear() == 2


class Consumer:
    """What client-go's reflectors do: list, watch from there, go on where a watch broke, list again when told to.

    ``told``: (what, name, value) of every change; of a list, of the difference to what was known.
    """

    def __init__(self, core: client.CoreV1Api) -> None:
        self._core = core
        self._known: dict[str, Any] = {}
        self._version = ""
        self._watching = watch.Watch()
        self.told: list[tuple[str, str, str]] = []
        self.listed = threading.Event()

    def until(self, last: str) -> None:
        while last not in self._known:
            try:
                self._version = self._version or self._list()
                self.listed.set()
                if last not in self._known:
                    self._watch(last)
            except ApiException as refused:
                if refused.status == 410:
                    self._version = ""
                elif refused.status not in (429, 500, 503, 504):
                    raise
            except HTTPError:
                continue  # a connection that broke

    def _list(self) -> str:
        listed = self._core.list_namespaced_config_map("default")
        names = {obj.metadata.name for obj in listed.items}
        for name in [*self._known]:
            if name not in names:
                self._take("DELETED", self._known.pop(name))
        for obj in listed.items:
            self._take("MODIFIED", obj)
        return str(listed.metadata.resource_version)

    def _watch(self, last: str) -> None:
        for event in self._watching.stream(
            self._core.list_namespaced_config_map,
            "default",
            resource_version=self._version,
            timeout_seconds=SECONDS,
        ):
            obj = event["object"]
            if int(obj.metadata.resource_version) > int(self._version):  # else it was told before
                self._version = obj.metadata.resource_version
                self._take(event["type"], obj)
            if last in self._known:
                self._watching.stop()

    def _take(self, kind: str, obj: Any) -> None:
        name, old = obj.metadata.name, self._known.get(obj.metadata.name)
        if kind == "DELETED":
            self._known.pop(name, None)
            self.told.append(("delete", name, obj.data["a"]))
        elif old is None or old.metadata.resource_version != obj.metadata.resource_version:
            self._known[name] = obj
            self.told.append(("update" if old is not None else "add", name, obj.data["a"]))


HISTORY = [
    *[("add", "a", "1"), ("add", "b", "1"), ("update", "a", "2")],
    *[("delete", "b", "1"), ("add", "end", "1")],
]
FAULTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "watchStop", "afterEvents": 1}, {}),
    ({"type": "watchStop", "afterEvents": 1, "abrupt": True}, {}),
    ({"type": "watchRewind", "events": 4, "afterEvents": 4}, {}),
    ({"type": "watchDelay", "seconds": 0.05}, {}),
    ({"type": "error", "code": 503}, {"first": 2}),
    ({"type": "drop"}, {"first": 2}),
    ({"type": "watchExpire", "afterEvents": 5}, {}),
]


@pytest.mark.parametrize(("action", "share"), FAULTS, ids=[f"{a}-{s}" for a, s in FAULTS])
def test_nothing_is_missed_and_nothing_is_told_twice(
    core: client.CoreV1Api, injected: Injected, action: dict[str, Any], share: dict[str, Any]
) -> None:
    injected.add(action, {**OURS, "verbs": ["list", "watch"]}, **share)
    consumer = Consumer(core)
    consuming = threading.Thread(target=consumer.until, args=("end",))
    consuming.start()
    assert consumer.listed.wait(SECONDS)
    make(core, "a")
    make(core, "b")
    core.patch_namespaced_config_map("a", "default", {"data": {"a": "2"}})
    core.delete_namespaced_config_map("b", "default")
    make(core, "end")
    consuming.join(SECONDS)
    assert not consuming.is_alive()
    assert consumer.told == HISTORY
    assert injected.clear() > 0


def test_what_happened_before_a_watch_expired_is_found_by_listing_again(
    core: client.CoreV1Api, injected: Injected
) -> None:
    make(core, "gone")
    consumer = Consumer(core)
    consumer.until("gone")
    core.delete_namespaced_config_map("gone", "default")
    injected.add({"type": "compact"})
    make(core, "end")
    consumer.until("end")
    assert consumer.told == [("add", "gone", "1"), ("delete", "gone", "1"), ("add", "end", "1")]
    assert injected.clear() > 0


def test_the_sdks_watch_sees_events_again_when_it_is_taken_back(
    core: client.CoreV1Api, injected: Injected
) -> None:
    """It keeps no state: what comes again comes with its old version, by which a consumer knows it."""
    since = core.list_namespaced_config_map("default").metadata.resource_version
    for name in ("a", "b", "c"):
        make(core, name)
    injected.add({"type": "watchRewind", "events": 2, "afterEvents": 2})
    seen = []
    watching = watch.Watch()
    for event in watching.stream(
        core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=SECONDS
    ):
        seen.append((event["object"].metadata.name, event["object"].metadata.resource_version))
        if event["object"].metadata.name == "c":
            watching.stop()
    assert [name for name, _ in seen] == ["a", "b", "a", "b", "c"]
    assert seen[0:2] == seen[2:4]
