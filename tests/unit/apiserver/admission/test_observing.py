"""Which plugin changed what: what plugins declare is all that they change, by a twin that compares everything."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission import observing
from apiserver.admission.chain import Chain
from apiserver.admission.interface import Attributes, Plugin, Reader
from apiserver.api.changes import paths
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.auth.user import User
from apiserver.trail import CURRENT, Trail
from tests.support.api import Api, serving

Object = dict[str, Any]
CONTAINER = {"name": "c", "image": "i"}
POD = {
    "metadata": {"name": "x"},
    "spec": {"containers": [CONTAINER], "initContainers": [{**CONTAINER, "name": "d"}]},
}
CLAIM = {"metadata": {"name": "x"}, "spec": {"accessModes": ["ReadWriteOnce"],
         "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
CLASS = "storageclass.kubernetes.io/is-default-class"
LIMITS = {"limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}]}
RULES = {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {
    "name": "s", "port": {"number": 80}}}}]}}]}  # fmt: skip
RUNTIME = {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "r", "operator": "Exists"}]}


async def prepare(api: Api) -> None:
    spaced = "/api/v1/namespaces/default"
    await api.create(
        f"{spaced}/serviceaccounts", {"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "p"}]}
    )
    await api.create(f"{spaced}/limitranges", {"metadata": {"name": "l"}, "spec": LIMITS})
    default = {"metadata": {"name": "s", "annotations": {CLASS: "true"}}, "provisioner": "p"}
    await api.create("/apis/storage.k8s.io/v1/storageclasses", default)
    metadata = {"name": "i", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    await api.create(
        "/apis/networking.k8s.io/v1/ingressclasses", {"metadata": metadata, "spec": {"controller": "x/y"}}
    )
    runtime = {
        "metadata": {"name": "r"},
        "handler": "h",
        "scheduling": RUNTIME,
        "overhead": {"podFixed": {"cpu": "1m"}},
    }
    await api.create("/apis/node.k8s.io/v1/runtimeclasses", runtime)


class Twin:
    """Compares the whole object around every plugin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[tuple[str, list[str]]] = []
        self.told: list[tuple[str, list[str]]] = []
        admit = Chain._admit_all

        async def both(chain: Chain, write: Attributes) -> None:
            trail = Trail()
            token = CURRENT.set(trail)
            plugins, chain._watched = (
                chain._watched,
                observing.Table([_Compared(p, self) for p in chain._mutating]),
            )
            try:
                await admit(chain, write)
            finally:
                chain._watched = plugins
                CURRENT.reset(token)
            self.told += trail.changed

        monkeypatch.setattr(Chain, "_admit_all", both)


class _Compared(Plugin):
    def __init__(self, inner: Plugin, twin: Twin) -> None:
        self._inner, self._twin = inner, twin
        self.name, self.changes = inner.name, inner.changes

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        before = deepcopy(attributes.obj)
        await self._inner.admit(attributes, reader)
        changed = sorted({"/".join(path.split("/")[:3]) for path in paths(before, attributes.obj)})
        if changed:
            self._twin.found.append((self.name, changed))


def test_what_is_told_is_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(tmp_path) as api:
            await prepare(api)
            twin = Twin(monkeypatch)
            pods = "/api/v1/namespaces/default/pods"
            await api.create(pods, POD)
            await api.create(
                pods, {"metadata": {"name": "y"}, "spec": {**POD["spec"], "runtimeClassName": "r"}}
            )
            await api.create("/api/v1/namespaces/default/persistentvolumeclaims", CLAIM)
            await api.create("/api/v1/nodes", {"metadata": {"name": "n"}})
            ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
            await api.create(ingresses, {"metadata": {"name": "i"}, "spec": RULES})
            told = [(name, sorted(changed)) for name, changed in twin.told]
            assert told == twin.found
            assert {name for name, _ in told} == {
                *("LimitRanger", "ServiceAccount", "Priority", "DefaultTolerationSeconds", "RuntimeClass"),
                *("DefaultStorageClass", "StorageObjectInUseProtection", "TaintNodesByCondition"),
                "DefaultIngressClass",
            }

    asyncio.run(main())


class Replacing(Plugin):
    """As a webhook does."""

    name = "Replacing"

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        assert attributes.obj is not None
        attributes.obj = {**attributes.obj, "spec": {"deep": {"er": 1}}}


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_an_object_that_was_replaced_is_compared(operation: str) -> None:
    gvr, gvk = GroupVersionResource("", "v1", "pods"), GroupVersionKind("", "v1", "Pod")
    obj = {"metadata": {"name": "x"}, "spec": {"deep": {}}}
    write = Attributes(operation, gvr, gvk, "default", "x", obj, None, User("a"))
    trail = Trail()
    token = CURRENT.set(trail)
    try:
        asyncio.run(Chain([Replacing()], None).admit(write))  # type: ignore[arg-type]
    finally:
        CURRENT.reset(token)
    assert trail.changed == [("Replacing", ["/spec/deep/er"])]
