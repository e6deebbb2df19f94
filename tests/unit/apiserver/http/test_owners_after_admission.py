"""Mutating admission may change who owns what, but not into nonsense."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apiserver.admission.interface import Attributes
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.http.rest.call import Call
from apiserver.http.scope import Services
from apiserver.registry.table import Resource

ENTRY = {
    "manager": "m",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {}},
}


class Admission:
    def __init__(self, entries: Any) -> None:
        self.entries = entries

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        attributes.obj["metadata"]["managedFields"] = self.entries


@pytest.mark.parametrize(
    ("entries", "kept", "warned"),
    [
        ([{**ENTRY, "manager": "other"}], [{**ENTRY, "manager": "other"}], False),
        ([{**ENTRY, "operation": "Steal"}], [ENTRY], True),
        ([{**ENTRY, "fieldsV1": {"nonsense": {}}}], [ENTRY], True),
    ],
    ids=["valid", "operation", "fields"],
)
def test_broken_owners_are_taken_back(entries: Any, kept: Any, warned: bool) -> None:
    warnings: list[str] = []
    resource = SimpleNamespace(
        gvr=GroupVersionResource("", "v1", "configmaps"), gvk=GroupVersionKind("", "v1", "ConfigMap")
    )
    services = cast(Services, SimpleNamespace(admission=Admission(entries)))
    call = Call(services, cast(Resource, resource), warn=warnings.append)
    obj = {"metadata": {"name": "c", "managedFields": [ENTRY]}}
    admitted = asyncio.run(call.admit(call.attributes("CREATE", "d", "c", obj, None)))
    assert admitted["metadata"]["managedFields"] == kept
    assert [text.startswith(".metadata.managedFields was in an invalid state") for text in warnings] == (
        [True] if warned else []
    )
