"""Bytes of stored objects in the form a client asked for. Bytes first: plain JSON of an unconverted kind is the stored
bytes themselves, everything else is parsed once per revision and remembered on the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.negotiation import Accepted
from apiserver.http.rest.call import converts, served
from apiserver.http.table import build, partial
from apiserver.storage.entry import Entry, list_item

if TYPE_CHECKING:
    from apiserver.registry.table import Resource


def object_bytes(resource: Resource, entry: Entry) -> bytes:
    """The whole object in the resource's version."""
    if not converts(resource):
        return entry.data
    return entry.rendering(resource.gvk.group_version, lambda e: codec.dumps(served(resource, e.object())))


def list_bytes(
    resource: Resource, entries: Sequence[Entry], revision: int, continue_: str = "", remaining: int = 0
) -> bytes:
    """A typed list: the items' own bytes joined."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if continue_:
        metadata["continue"] = continue_
    if remaining:
        metadata["remainingItemCount"] = remaining
    head = codec.dumps(
        {"kind": resource.gvk.kind + "List", "apiVersion": resource.gvk.group_version, "metadata": metadata}
    )
    items = b",".join(list_item(object_bytes(resource, entry)) for entry in entries)
    return b'%b,"items":[%b]}' % (head[:-1], items)


def framer(resource: Resource, accepted: Accepted, include: str) -> tuple[str, Callable[[str, Entry], bytes]]:
    """(name of the encoding, function that makes a watch frame of an event type and an entry)"""
    gvk: GroupVersionKind = resource.gvk
    if accepted.transform == "Table":

        def make(kind: str, entry: Entry) -> bytes:
            obj = served(resource, entry.object())
            table = build(gvk, [obj], accepted.version, include, {"resourceVersion": str(entry.revision)})
            return frame(kind, codec.dumps(table))

        return f"table {accepted.version} {include} {gvk.group_version}", make
    if accepted.transform:

        def make(kind: str, entry: Entry) -> bytes:
            return frame(kind, codec.dumps(partial(entry.object(), accepted.version)))

        return f"partial {accepted.version}", make
    return gvk.group_version, lambda kind, entry: frame(kind, object_bytes(resource, entry))


def frame(kind: str, data: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), data)
