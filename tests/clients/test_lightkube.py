"""lightkube, unmodified: typed resources of its models, watches, patches of every type, files. Logs: `test_streams`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from lightkube import ApiError, AsyncClient, Client, codecs
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConditionError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret
from lightkube.types import PatchType, on_error_retry

from tests.clients.here import Here

SECONDS = 10


@pytest.fixture(scope="module")
def k(api: Here) -> Iterator[Client]:
    with Client(config=KubeConfig.from_file(api.kubeconfig), field_manager="tests") as found:
        yield found


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default", labels=labels), data=data)


def deployment(name: str) -> Deployment:
    labels = {"app": name}
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="c", image="x")])
    )
    return Deployment(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=DeploymentSpec(selector=LabelSelector(matchLabels=labels), template=template),
    )


def test_an_object_from_its_creation_to_its_end(k: Client) -> None:
    made = k.create(config_map("one", a="1"))
    assert k.get(ConfigMap, "one").to_dict() == made.to_dict()
    made.data = {"a": "2"}
    assert k.replace(made).data == {"a": "2"}
    with pytest.raises(ApiError) as refused:
        k.replace(made)  # with the version of before
    assert (refused.value.status.code, refused.value.status.reason) == (409, "Conflict")
    assert k.replace(deployment_with_status(k), dry_run=False).status.replicas == 2
    k.delete(ConfigMap, "one")
    with pytest.raises(ApiError) as refused:
        k.get(ConfigMap, "one")
    assert (refused.value.status.code, refused.value.status.details.kind) == (404, "configmaps")


def deployment_with_status(k: Client) -> Deployment.Status:
    made = k.create(deployment("replaced"))
    return Deployment.Status(metadata=made.metadata, spec=made.spec, status={"replicas": 2})


def test_lists_and_collections(k: Client) -> None:
    for number in range(5):
        k.create(config_map(f"many-{number}", {"many": str(number % 2)}))
    assert [o.metadata.name for o in k.list(ConfigMap, labels={"many": "1"})] == ["many-1", "many-3"]
    assert [o.metadata.name for o in k.list(ConfigMap, chunk_size=2)] == [f"many-{n}" for n in range(5)]
    assert [o.metadata.name for o in k.list(ConfigMap, fields={"metadata.name": "many-4"})] == ["many-4"]
    k.create(ConfigMap(metadata=ObjectMeta(name="elsewhere", namespace="kube-system")))
    assert {o.metadata.namespace for o in k.list(ConfigMap, namespace="*")} == {"default", "kube-system"}
    k.deletecollection(ConfigMap)
    assert [o.metadata.name for o in k.list(ConfigMap, namespace="*")] == ["elsewhere"]


PATCHES = {
    PatchType.JSON: [{"op": "add", "path": "/data/b", "value": "2"}],
    PatchType.MERGE: {"data": {"b": "2"}},
    PatchType.STRATEGIC: {"data": {"b": "2"}},
}


@pytest.mark.parametrize("kind", PATCHES, ids=lambda kind: kind.name)
def test_a_patch_of_every_type(k: Client, kind: PatchType) -> None:
    name = f"patched-{kind.name.lower()}"
    k.create(config_map(name, a="1"))
    assert k.patch(ConfigMap, name, PATCHES[kind], patch_type=kind).data == {"a": "1", "b": "2"}


def test_labels_annotations_and_scale(k: Client) -> None:
    k.create(deployment("scaled"))
    k.set(Deployment, "scaled", labels={"l": "1"}, annotations={"a": "1"})
    scale = k.get(Deployment.Scale, "scaled")
    scale.spec.replicas = 4
    assert k.replace(scale).spec.replicas == 4
    found = k.get(Deployment, "scaled")
    assert (found.spec.replicas, found.metadata.labels["l"], found.metadata.annotations["a"]) == (4, "1", "1")


def test_a_watch(k: Client) -> None:
    k.create(config_map("watched", {"watch": "this"}))
    events = k.watch(ConfigMap, labels={"watch": "this"})
    assert next(events)[0] == "ADDED"
    k.patch(ConfigMap, "watched", {"data": {"x": "y"}})
    k.delete(ConfigMap, "watched")
    assert [(e, o.metadata.name) for e, o in itertools.islice(events, 2)] == [
        ("MODIFIED", "watched"),
        ("DELETED", "watched"),
    ]


def test_a_watch_goes_on_after_its_connection_was_cut(api: Here, k: Client) -> None:
    """The client asks again from the last version it saw, and gets what it missed once."""
    k.create(Secret(metadata=ObjectMeta(name="before", namespace="default")))
    events = k.watch(Secret, on_error=on_error_retry)
    assert next(events)[1].metadata.name == "before"
    assert api.cut() > 0
    k.create(Secret(metadata=ObjectMeta(name="after", namespace="default")))
    assert next(events)[1].metadata.name == "after"


def test_waiting_for_a_condition(k: Client) -> None:
    k.create(deployment("waited"))
    condition = {"type": "Available", "status": "True"}
    k.patch(Deployment.Status, "waited", {"status": {"conditions": [condition]}})
    assert k.wait(Deployment, "waited", for_conditions=["Available"]).metadata.name == "waited"
    with pytest.raises(ConditionError):
        k.wait(Deployment, "waited", for_conditions=["Progressing"], raise_for_conditions=["Available"])


def test_objects_of_a_file(k: Client) -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: filed}}\n---\n"
    text += "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: filed}, data: {a: '1'}}\n"
    for obj in codecs.load_all_yaml(text):
        k.create(obj)
    assert k.get(Namespace, "filed").status.phase == "Active"
    assert k.get(ConfigMap, "c", namespace="filed").data == {"a": "1"}


def test_apply(k: Client) -> None:
    k.apply(config_map("applied", a="1", b="1"))
    with pytest.raises(ApiError, match="conflict"):
        k.apply(config_map("applied", a="2"), field_manager="other")
    assert k.apply(config_map("applied", a="2"), field_manager="other", force=True).data == {
        "a": "2",
        "b": "1",
    }


async def _asynchronously(api: Here) -> None:
    async with AsyncClient(config=KubeConfig.from_file(api.kubeconfig)) as k:
        await k.create(config_map("async", a="1"))
        assert (await k.patch(ConfigMap, "async", {"data": {"b": "2"}})).data == {"a": "1", "b": "2"}
        assert "async" in [o.metadata.name async for o in k.list(ConfigMap)]
        await k.delete(ConfigMap, "async")


def test_asynchronously(api: Here) -> None:
    asyncio.run(asyncio.wait_for(_asynchronously(api), SECONDS))
