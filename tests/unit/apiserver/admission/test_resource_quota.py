"""Quotas stay exact however many API servers charge them at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.admission.interface import CREATE, UPDATE, Attributes
from apiserver.admission.quota_checks import Ledger, charge, handles
from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource, GroupVersionKind, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.api.quota import amounts, evaluator_of
from apiserver.auth.user import User
from apiserver.config import ApiServerConfig
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import create
from apiserver.http.rest.delete import DeleteOptions, delete
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage
from tests.unit.apiserver.api.quota.test_evaluators import NOW, POD, SERVICE, pod

QUOTA_KEY = "/registry/resourcequotas/ns/q"


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Object:
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    metadata = {"name": "q", "namespace": "ns", "uid": "u"}
    return {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": metadata, "spec": {"hard": hard, **spec},
            "status": status}  # fmt: skip


def write(
    obj: Object, old: Object | None = None, resource: str = "pods", subresource: str = ""
) -> Attributes:
    obj.setdefault("metadata", {}).setdefault("name", "t1")
    return Attributes(
        operation=UPDATE if old else CREATE,
        gvr=GroupVersionResource("", "v1", resource),
        gvk=GroupVersionKind("", "v1", resource),
        namespace="ns",
        name="t1",
        obj=obj,
        old=old,
        user=User("alice"),
        subresource=subresource,
    )


def charged(stored: Object, attributes: Attributes) -> dict[str, str]:
    evaluator = evaluator_of(attributes.group_resource)
    assert handles(evaluator, attributes)
    return amounts.write(charge([Ledger.of(stored)], attributes, evaluator, NOW)[0].used)


def refusal(stored: Object, attributes: Attributes) -> str:
    with pytest.raises(StatusError) as info:
        charged(stored, attributes)
    assert info.value.code == 403
    return info.value.message


def test_a_write_is_charged_in_every_name_that_it_uses() -> None:
    stored = quota({"pods": "2", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "400m"})
    assert charged(stored, write(pod({"requests": {"cpu": "600m"}}))) == {"pods": "2", "requests.cpu": "1"}


def test_refusals_in_the_words_of_the_original() -> None:
    stored = quota({"pods": "1", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "500m"})
    text = refusal(stored, write(pod({"requests": {"cpu": "600m"}})))
    assert text == (
        'pods "t1" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=600m, '
        "used: pods=1,requests.cpu=500m, limited: pods=1,requests.cpu=1"
    )
    text = refusal(stored, write(pod({}, {"limits": {"cpu": "1"}})))
    assert text == 'pods "t1" is forbidden: failed quota: q: must specify requests.cpu for: c0,c1'
    text = refusal(quota({"pods": "1"}, {}), write(pod({})))
    assert text == 'pods "t1" is forbidden: status unknown for quota: q, resources: pods'
    text = refusal(quota({"requests.cpu": "1"}), write(pod({"requests": {"cpu": "-1"}})))
    assert text == 'pods "t1" is forbidden: quota usage is negative for resource(s): cpu,requests.cpu'


def test_an_update_is_charged_for_what_it_adds() -> None:
    def service(kind: str) -> Object:
        return {"spec": {"type": kind, "ports": [{}, {}]}, "metadata": {"name": "t1"}}

    stored = quota({"services": "1", "services.nodeports": "2"}, {"services": "1", "services.nodeports": "0"})
    change = write(service("NodePort"), service("ClusterIP"), "services")
    assert charged(stored, change) == {"services": "1", "services.nodeports": "2"}
    back = write(service("ClusterIP"), service("NodePort"), "services")
    assert charged(stored, back) == {"services": "1", "services.nodeports": "0"}
    assert not handles(evaluator_of(POD), write(pod({}), pod({})))
    assert handles(evaluator_of(POD), write(pod({}), pod({}), subresource="resize"))
    assert not handles(
        evaluator_of(SERVICE), write(service("NodePort"), service("ClusterIP"), "services", "status")
    )


def test_quotas_of_other_scopes_and_kinds_are_left_alone() -> None:
    stored = quota({"pods": "0"}, scopes=["Terminating"])
    assert charged(stored, write(pod({}))) == {"pods": "0"}
    assert charged(quota({"secrets": "0"}), write(pod({}))) == {"secrets": "0"}


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_charging_in_turn_is_what_adding_up_says(milli: list[int], limit: int) -> None:
    """Naive twin: take each pod that still fits."""
    ledger, naive, evaluator = Ledger.of(quota({"requests.cpu": f"{limit}m"})), 0, evaluator_of(POD)
    for amount in milli:
        attributes = write(pod({"requests": {"cpu": f"{amount}m"}}))
        try:
            ledger = charge([ledger], attributes, evaluator, NOW)[0]
            fits = True
        except StatusError:
            fits = False
        assert fits == (amount == 0 or naive + amount <= limit)
        naive += amount if fits else 0
    assert ledger.used["requests.cpu"].milli_value() == naive


def server(storage: MemoryStorage, folder: Path) -> ApiServer:
    return ApiServer(ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=folder), storage)


async def try_create(call: Call, obj: Object) -> str:
    try:
        await create(call, "ns", obj)
    except StatusError as error:
        return error.reason
    return "created"


async def used(storage: MemoryStorage, key: str = QUOTA_KEY) -> dict[str, str]:
    stored, _ = await storage.get(key)
    assert stored is not None
    found: dict[str, str] = codec.decode(stored.value)["status"]["used"]
    return found


def test_three_servers_over_one_store_never_exceed_a_quota(tmp_path: Path) -> None:
    """Of 90 concurrent creates through three servers exactly the 40 that fit are stored, and the books say so."""

    async def body() -> None:
        storage = MemoryStorage()
        namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "ns"}}
        await storage.create("/registry/namespaces/ns", codec.encode(namespace))
        for name, hard in (("q", {"count/configmaps": "40"}), ("wide", {"configmaps": "1000"})):
            stored = quota(hard)
            stored["metadata"]["name"] = name
            await storage.create(f"/registry/resourcequotas/ns/{name}", codec.encode(stored))
        servers = [server(storage, tmp_path) for _ in range(3)]
        calls = []
        for one in servers:
            resource = one.services.registry.lookup("", "v1", "configmaps")
            assert resource is not None
            calls.append(Call(one.services, resource))
        wanted = [{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": f"c{n}"}} for n in range(90)]
        results = await asyncio.gather(*(try_create(calls[n % 3], obj) for n, obj in enumerate(wanted)))
        assert sorted(set(results)) == ["Forbidden", "created"]
        listed = await storage.list("/registry/configmaps/ns/")
        assert len(listed.items) == results.count("created") == 40
        assert await used(storage) == {"count/configmaps": "40"}
        for one in servers:
            await one.services.caches.close()

    asyncio.run(body())


def test_a_dry_run_is_checked_and_not_charged(tmp_path: Path) -> None:
    async def body() -> None:
        storage = MemoryStorage()
        namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "ns"}}
        await storage.create("/registry/namespaces/ns", codec.encode(namespace))
        await storage.create(QUOTA_KEY, codec.encode(quota({"count/configmaps": "1"})))
        one = server(storage, tmp_path)
        resource = one.services.registry.lookup("", "v1", "configmaps")
        assert resource is not None
        trial, real = Call(one.services, resource, dry_run=True), Call(one.services, resource)
        wanted = [{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}} for name in "abc"]
        assert [await try_create(trial, wanted[0]), await try_create(real, wanted[1])] == [
            "created",
            "created",
        ]
        assert await used(storage) == {"count/configmaps": "1"}
        assert await try_create(trial, wanted[2]) == "Forbidden"
        await delete(real, "ns", "b", DeleteOptions())
        assert await used(storage) == {"count/configmaps": "1"}  # until the controller counts again
        await one.services.caches.close()

    asyncio.run(body())


def test_an_evaluator_is_chosen_by_group_and_resource() -> None:
    assert evaluator_of(GroupResource("apps", "pods")).tracks("count/pods.apps")
    assert not evaluator_of(GroupResource("apps", "pods")).tracks("pods")
