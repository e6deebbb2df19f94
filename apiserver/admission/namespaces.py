"""The Namespace of a write, for selectors and expressions: from the watch cache, or from the store if it is new."""

from __future__ import annotations

from typing import Final

from apiserver.admission.interface import Attributes, Reader
from apiserver.admission.matching import namespace_of
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")


async def find_namespace(write: Attributes, reader: Reader) -> Object | None:
    """None for what is in no namespace, or in one that is not there."""
    name = namespace_of(write)
    if not name:
        return None
    return await reader.get(NAMESPACES, "", name) or await reader.get(NAMESPACES, "", name, fresh=True)
