"""From a stored definition to resources that come and go: names, conditions, views, conversion, cleaning up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.api.conditions import get_condition
from apiserver.crd.cleanup import Cleanup
from apiserver.crd.controller import DefinitionController
from apiserver.crd.conversion import Normalised
from apiserver.crd.definition import Definition, rank
from apiserver.crd.naming import Taken, reconciled
from apiserver.crd.resources import Parts, Served, served
from apiserver.crd.structural import compiled
from apiserver.crd.view import VersionedStorage
from apiserver.crd.webhook import ConversionFailed, WebhookConversion
from apiserver.registry.strategy import RegistryOptions
from apiserver.schema.schemas import OBJECT_META, Schemas
from apiserver.storage.cacher import CacheReset, Cursor, ResourceCache
from apiserver.storage.interface import RevisionMismatch, Storage
from apiserver.storage.memory import MemoryStorage
from apiserver.webhook_client import WebhookUnreachable
from tests.support.virtual_time import run_virtual
from tests.unit.apiserver.crd.definitions import Object, created, definition, established, version

PREFIX = "/registry/apiextensions.k8s.io/customresourcedefinitions/"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMAS = Schemas.load()


def no_webhook(config: Mapping[str, Any], review: Object) -> Coroutine[Any, Any, Object]:
    raise AssertionError("no webhook is asked")


def parts(storage: Storage, send: Any = no_webhook) -> Parts:
    return Parts(storage, RegistryOptions(), SCHEMAS.named(OBJECT_META), SCHEMAS.check_metadata, send)


def read_definition(obj: Object) -> Definition:
    return Definition(lambda: codec.encode(obj), 1)


class World:
    """A controller over a store in memory; `served` is what it published last."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.served: dict[str, Served] = {}
        cleanup = Cleanup(self.storage, self.delete_instance, lambda: NOW)
        self.controller = DefinitionController(
            ResourceCache(self.storage, PREFIX),
            self.storage,
            parts(self.storage),
            self.publish,
            cleanup,
            lambda: NOW,
        )

    def publish(self, items: Sequence[Served]) -> None:
        self.served = {item.definition.name: item for item in items}

    async def delete_instance(self, which: Definition, namespace: str, name: str) -> None:
        key = f"{which.storage_prefix}/{namespace}/{name}"
        stored, _ = await self.storage.get(key)
        if stored is not None and b"finalizers" not in stored.value:
            await self.storage.delete(key, stored.revision)

    async def write(self, obj: Object) -> None:
        """Create, or replace whatever is stored."""
        key = PREFIX + obj["metadata"]["name"]
        stored, _ = await self.storage.get(key)
        if stored is None:
            await self.storage.create(key, codec.encode(obj))
        else:
            await self.storage.update(key, codec.encode(obj), stored.revision)

    async def read(self, name: str) -> Object | None:
        stored, _ = await self.storage.get(PREFIX + name)
        return None if stored is None else codec.decode_stored(stored.value, stored.revision)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - virtual time, and nothing tells of what is waited for
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    it = World()
    await it.controller.start()
    task = asyncio.create_task(it.controller.run())
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await it.controller.stop()


def test_a_definition_is_established_and_served() -> None:
    async def main() -> None:
        async with world() as it:
            await it.write(created(definition(version(), version("v2beta1", storage=False))))
            await it.until(lambda: bool(it.served))
            stored = await it.read("widgets.example.com")
            assert stored is not None
            assert [c["reason"] for c in stored["status"]["conditions"]] == [
                "NoConflicts",
                "InitialNamesAccepted",
            ]
            assert stored["status"]["acceptedNames"] == stored["spec"]["names"]
            resources = it.served["widgets.example.com"].resources
            assert [str(resource.gvr) for resource in resources] == [
                "example.com/v1, Resource=widgets",
                "example.com/v2beta1, Resource=widgets",
            ]

    run_virtual(main())


def test_names_are_given_once_and_become_free() -> None:
    async def main() -> None:
        async with world() as it:
            await it.write(created(definition()))
            await it.until(lambda: bool(it.served))
            await it.write(created(definition(plural="gizmos")))
            second: Object | None = None
            while second is None or not second["status"]["conditions"]:
                await asyncio.sleep(0.01)
                second = await it.read("gizmos.example.com")
            accepted = get_condition(second, "NamesAccepted")
            assert accepted is not None
            assert (accepted["status"], accepted["message"]) == ("False", '"WidgetList" is already in use')
            assert second["status"]["acceptedNames"] == {"plural": "gizmos", "kind": ""}
            first, _ = await it.storage.get(PREFIX + "widgets.example.com")
            assert first is not None
            await it.storage.delete(first.key, first.revision)
            await it.until(lambda: list(it.served) == ["gizmos.example.com"])

    run_virtual(main())


def test_a_change_of_the_spec_ends_the_watches() -> None:
    async def main() -> None:
        async with world() as it:
            await it.write(established(definition()))
            await it.until(lambda: bool(it.served))
            old = it.served["widgets.example.com"]
            custom = old.resources[0].custom
            assert custom is not None
            cache = custom.view.caches.of(old.definition.storage_prefix + "/")  # type: ignore[attr-defined]
            await cache.ready()
            cursor = Cursor(cache)
            changed = established(definition(version(schema={"type": "object", "description": "new"})))
            changed["metadata"]["generation"] = 2
            await it.write(changed)
            await it.until(lambda: it.served["widgets.example.com"] is not old)
            await asyncio.sleep(0.01)
            with pytest.raises(CacheReset):
                cursor.take()

    run_virtual(main())


def test_a_definition_goes_after_its_instances() -> None:
    async def main() -> None:
        async with world() as it:
            obj = established(definition())
            await it.write(obj)
            for name, held in (("a", []), ("b", ["example.com/held"])):
                metadata = {"name": name, "namespace": "ns", **({"finalizers": held} if held else {})}
                await it.storage.create(
                    f"/registry/example.com/widgets/ns/{name}", codec.encode({"metadata": metadata})
                )
            obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            obj["metadata"]["finalizers"] = ["customresourcecleanup.apiextensions.k8s.io"]
            await it.write(obj)
            await asyncio.sleep(20)
            left = await it.storage.list("/registry/example.com/widgets/")
            assert [item.key.rpartition("/")[2] for item in left.items] == ["b"]
            waiting = await it.read("widgets.example.com")
            assert waiting is not None
            assert get_condition(waiting, "Terminating")["reason"] == "InstanceDeletionInProgress"  # type: ignore[index]
            custom = it.served["widgets.example.com"].resources[0].custom
            assert custom is not None
            assert custom.terminating
            await it.storage.delete(left.items[0].key, left.items[0].revision)
            await it.until(lambda: not it.served)
            assert await it.read("widgets.example.com") is None

    run_virtual(main())


def test_what_cannot_be_read_is_left_alone() -> None:
    async def main() -> None:
        async with world() as it:
            await it.storage.create(PREFIX + "odd.example.com", b'{"kind":"","apiVersion":"","metadata":{}}')
            await it.write(created(definition()))
            await it.until(lambda: list(it.served) == ["widgets.example.com"])

    run_virtual(main())


def test_protected_groups_are_said_to_be_approved() -> None:
    obj = created(definition(group="x.k8s.io"))
    obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/pull/1"}
    status = reconciled(obj, Taken(), "now")
    assert status is not None
    last = status["conditions"][-1]
    assert (last["type"], last["status"]) == ("KubernetesAPIApprovalPolicyConformant", "True")
    assert last["message"] == "approved in https://example.com/pull/1"
    assert reconciled({**obj, "status": status}, Taken(), "later") is None


def test_order_of_versions() -> None:
    names = ["foo10", "v1alpha1", "v11beta2", "v10", "foo1", "v2", "v3beta1", "v1"]
    assert sorted(names, key=rank) == ["v10", "v2", "v1", "v11beta2", "v3beta1", "v1alpha1", "foo1", "foo10"]


# ---- values of other versions


def stored(api_version: str, **more: Any) -> bytes:
    return codec.encode(
        {"kind": "Widget", "apiVersion": api_version, "metadata": {"name": "w", "uid": "u"}, **more}
    )


def normalised(own: str, storage: str, schema: Object | None = None) -> Normalised:
    root = compiled(schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    return Normalised(own, storage, lambda: root)


def test_reading_prunes_and_defaults() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
    conversion = normalised("example.com/v2", "example.com/v1", schema)

    async def main() -> None:
        (read,) = await conversion.read([stored("example.com/v1", b=2)])
        assert codec.decode(read) == {**codec.decode(stored("example.com/v2")), "a": 1}
        assert codec.decode(await conversion.written(read))["apiVersion"] == "example.com/v1"

    run_virtual(main())


def test_a_view_is_a_store_in_another_version() -> None:
    async def main() -> None:
        storage = MemoryStorage()
        view = VersionedStorage(storage, normalised("example.com/v2", "example.com/v1"))
        revision = await view.create("/k/a", stored("example.com/v2"))
        raw, _ = await storage.get("/k/a")
        seen, _ = await view.get("/k/a")
        assert raw is not None
        assert seen is not None
        assert (raw.value, seen.value, seen.stale) == (
            stored("example.com/v1"),
            stored("example.com/v2"),
            True,
        )
        with pytest.raises(RevisionMismatch) as caught:
            await view.update("/k/a", stored("example.com/v2", x=1), revision + 7)
        assert caught.value.current == seen
        async with view.watch("/k/", revision) as watch:
            await view.update("/k/a", stored("example.com/v2", x=1), revision)
            events: list[Any] = []
            async for batch in watch:
                events += batch.events
                if len(events) == 2:
                    break
        assert [codec.decode(event.value)["apiVersion"] for event in events] == ["example.com/v2"] * 2
        assert codec.decode(events[1].previous)["apiVersion"] == "example.com/v2"
        assert (await view.list("/k/")).items[0].value == stored("example.com/v2", x=1)

    run_virtual(main())


Answer = Callable[[Object], Object]


def webhook(answer: Answer, own: str = "example.com/v2") -> WebhookConversion:
    async def send(config: Mapping[str, Any], review: Object) -> Object:
        return answer(review["request"])

    config = {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x"}}}
    return WebhookConversion(
        "widgets", config, normalised(own, "example.com/v1"), own, "example.com/v1", send
    )


def review(request: Object, *objects: Object, **more: Any) -> Object:
    response = {
        "uid": request["uid"],
        "result": {"status": "Success"},
        "convertedObjects": list(objects),
        **more,
    }
    return {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}


def moved(request: Object) -> Object:
    """A webhook that does its work."""
    converted = [
        {**obj, "apiVersion": request["desiredAPIVersion"], "moved": True} for obj in request["objects"]
    ]
    for obj in converted:
        obj["metadata"] = {**obj["metadata"], "labels": {"l": "x"}, "finalizers": ["ignored.example.com/x"]}
    return review(request, *converted)


def test_a_webhook_converts_what_is_in_another_version() -> None:
    async def main() -> None:
        values = [stored("example.com/v1"), stored("example.com/v2")]
        first, second = await webhook(moved).read(values)
        assert codec.decode(first)["metadata"] == {"name": "w", "uid": "u", "labels": {"l": "x"}}
        assert codec.decode(first)["moved"] is True
        assert second == values[1]
        written = await webhook(moved).written(values[1])
        assert codec.decode(written)["apiVersion"] == "example.com/v1"

    run_virtual(main())


def renamed(request: Object) -> Object:
    return review(
        request,
        {**request["objects"][0], "apiVersion": "example.com/v2", "metadata": {"name": "z", "uid": "u"}},
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda request: {"kind": "Other"}, "invalid response object"),
        (lambda request: review(request, uid="x"), "expected response.uid="),
        (lambda request: review(request, result={"status": "Failure", "message": "no"}), "no"),
        (lambda request: review(request), "webhook returned 0 objects, expected 1"),
        (lambda request: review(request, request["objects"][0]), "returned object has unexpected version"),
        (renamed, "returned object has a different name: z"),
    ],
)
def test_a_webhook_that_does_not(answer: Answer, reason: str) -> None:
    with pytest.raises(ConversionFailed) as caught:
        run_virtual(webhook(answer).read([stored("example.com/v1")]))
    prefix = "conversion webhook for example.com/v1, Kind=Widget failed: "
    assert caught.value.message.startswith(prefix + reason)
    assert caught.value.code == 500


def test_a_webhook_that_cannot_be_reached_fails_lists_at_once() -> None:
    async def send(config: Mapping[str, Any], request: Object) -> Object:
        raise WebhookUnreachable("connection refused")

    async def main() -> None:
        storage = MemoryStorage()
        obj = established(
            definition(
                version(),
                version("v2", storage=False),
                conversion={"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x"}}},
            )
        )
        it = served(read_definition(obj), parts(storage, send))
        await storage.create("/registry/example.com/widgets/ns/w", stored("example.com/v1"))
        custom = next(resource.custom for resource in it.resources if resource.gvr.version == "v2")
        assert custom is not None
        cache = custom.view.caches.of("/registry/example.com/widgets/")  # type: ignore[attr-defined]
        with pytest.raises(ConversionFailed):
            await cache.ready()
        await it.end()

    run_virtual(main())


def test_an_established_definition_without_accepted_names_is_left_alone() -> None:
    async def main() -> None:
        async with world() as it:
            odd = established(definition(plural="odds", kind="Odd"))
            odd["status"]["acceptedNames"] = {}
            await it.write(odd)
            await it.write(created(definition()))
            await it.until(lambda: list(it.served) == ["widgets.example.com"])

    run_virtual(main())


def test_a_definition_that_has_its_names_is_not_looked_at_for_others() -> None:
    """Else a thousand definitions of one group would cost a million looks."""
    settled = read_definition(established(definition()))
    waiting = read_definition(created(definition()))
    renamed_since = read_definition(established(definition(), singular="other"))
    assert (settled.settled, waiting.settled, renamed_since.settled) == (True, False, False)
