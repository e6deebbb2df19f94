"""The table against a second source: the fields of the OpenAPI schemas of the same release."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.http.protobuf import table
from apiserver.http.protobuf.wellknown import DECODERS, NUMBERS
from apiserver.schema.schemas import Schemas

TYPE_META = {"apiVersion", "kind"}


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


def names(message: str) -> Iterator[str]:
    for field in table.messages()[message].values():
        if field.shape == table.INLINE:
            yield from names(field.type)
        else:
            yield field.name


def test_every_type_is_known() -> None:
    known = {*table.messages(), *DECODERS, *NUMBERS}
    fields = [field for rows in table.messages().values() for field in rows.values()]
    assert {field.type for field in fields} <= known
    shapes = {table.KEPT, table.OMIT_EMPTY, table.LIST, table.MAP, table.INLINE}
    assert {field.shape for field in fields} == shapes


def test_fields_are_those_of_the_schemas(schemas: Schemas) -> None:
    compared, differ = 0, {}
    for message in table.messages():
        prefix = "io.k8s.apimachinery.pkg.apis." if message.startswith("meta.") else "io.k8s.api."
        definition = schemas.definitions.get(prefix + message)
        if definition is None or "properties" not in definition:
            continue
        compared += 1
        found, wanted = set(names(message)) - TYPE_META, set(definition["properties"]) - TYPE_META
        if found != wanted:
            differ[message] = found ^ wanted
    assert compared > 400
    assert not differ


@pytest.mark.parametrize(
    ("group", "kind"),
    [("example.com", "Pod"), ("", "Nonsense"), ("apiextensions.k8s.io", "CustomResourceDefinition")],
)
def test_kinds_that_have_no_message(group: str, kind: str) -> None:
    assert table.message_of(GroupVersionKind(group, "v1", kind)) is None
