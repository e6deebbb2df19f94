"""Cluster IPs and node ports: no two services ever get the same one."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from apiserver.api.errors import StatusError
from apiserver.registry.strategy import RegistryOptions, Strategy
from apiserver.registry.table import Registry
from tests.support.virtual_time import run_virtual


class FakeStorage:
    """Create-only writes over a dict, with a chance for others to run in between."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    async def create(self, key: str, obj: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return self.objects.setdefault(key, obj) is obj

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def list(self, prefix: str) -> list[dict[str, Any]]:
        return [value for key, value in self.objects.items() if key.startswith(prefix)]


def _strategy(cidr: str = "10.96.0.0/16", ports: tuple[int, int] = (30000, 32767)) -> Strategy:
    options = RegistryOptions(service_cidr=cidr, node_port_range=ports, rng=random.Random(1))
    resource = Registry.default(options).lookup("", "v1", "services")
    assert resource is not None
    return resource.strategy


def _service(name: str = "s", **spec: Any) -> dict[str, Any]:
    obj = {"metadata": {"name": name, "namespace": "ns"}, "spec": {"ports": [{"port": 80}], **spec}}
    _strategy().default(obj)
    return obj


def test_concurrent_creates_get_distinct_addresses() -> None:
    async def scenario() -> None:
        storage, strategies = FakeStorage(), [_strategy("10.0.0.0/28") for _ in range(3)]
        services = [_service(f"s{number}") for number in range(14)]
        creates = (strategies[at % 3].begin_create(obj, storage) for at, obj in enumerate(services))
        await asyncio.gather(*creates)
        assert len({obj["spec"]["clusterIP"] for obj in services}) == 14
        with pytest.raises(StatusError, match="range is full"):
            await strategies[0].begin_create(_service("one-too-many"), storage)

    run_virtual(scenario())


def test_reservations_of_a_failed_create_are_given_back() -> None:
    async def scenario() -> None:
        storage = FakeStorage()
        done = await _strategy().begin_create(_service(type="NodePort"), storage)
        assert len(storage.objects) == 2
        await done(False)
        assert storage.objects == {}

    run_virtual(scenario())


def test_asked_for_addresses_and_ports() -> None:
    async def scenario() -> None:
        storage, strategy = FakeStorage(), _strategy()
        obj = _service(clusterIP="10.96.0.10", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
        await strategy.begin_create(obj, storage)
        with pytest.raises(StatusError, match="provided IP is already allocated"):
            await strategy.begin_create(_service("b", clusterIP="10.96.0.10"), storage)
        with pytest.raises(StatusError, match="provided port is already allocated"):
            await strategy.begin_create(
                _service("c", type="NodePort", ports=[{"port": 1, "nodePort": 30080}]), storage
            )
        with pytest.raises(StatusError, match="does not match the current range"):
            await strategy.begin_create(_service("d", clusterIP="10.1.0.1"), storage)
        await strategy.after_delete(obj, storage)
        assert storage.objects == {}

    run_virtual(scenario())


def test_updates_keep_and_release() -> None:
    async def scenario() -> None:
        storage, strategy = FakeStorage(), _strategy()
        old = _service(type="NodePort")
        await strategy.begin_create(old, storage)
        new = _service(type="NodePort", ports=[{"port": 80}, {"port": 81, "name": "b"}])
        done = await strategy.begin_update(new, old, storage)
        await done(True)
        assert new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
        assert new["spec"]["ports"][0]["nodePort"] == old["spec"]["ports"][0]["nodePort"]
        headless = _service(type="ClusterIP", clusterIP=new["spec"]["clusterIP"])
        done = await strategy.begin_update(headless, new, storage)
        await done(True)
        assert list(storage.objects) == ["/registry/ipaddresses/" + new["spec"]["clusterIP"]]

    run_virtual(scenario())


def test_headless_and_external_services_reserve_nothing() -> None:
    async def scenario() -> None:
        storage = FakeStorage()
        await _strategy().begin_create(_service(clusterIP="None"), storage)
        await _strategy().begin_create(_service(type="ExternalName", externalName="a.b"), storage)
        assert storage.objects == {}

    run_virtual(scenario())
