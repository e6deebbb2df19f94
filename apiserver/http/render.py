"""Bytes of stored objects in the form a client asked for. Bytes first: plain JSON of an unconverted kind is the stored
bytes themselves, everything else is parsed once per revision and remembered on the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from apiserver.api import codec
from apiserver.http import media
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
    """A list: the items' own bytes joined, without their kind unless it is a list of custom resources."""
    custom = resource.custom
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if continue_ or custom is not None:
        metadata["continue"] = continue_
    if remaining:
        metadata["remainingItemCount"] = remaining
    kind = resource.gvk.kind + "List" if custom is None else custom.list_kind
    head = codec.dumps({"kind": kind, "apiVersion": resource.gvk.group_version, "metadata": metadata})
    parts = (object_bytes(resource, entry) for entry in entries)
    items = b",".join(parts if custom is not None else map(list_item, parts))
    return b'%b,"items":[%b]}' % (head[:-1], items)


Make = Callable[[str, Entry], bytes]


class Framing:
    """Watch frames in one client's form. ``name`` stands for the form: watchers of the same name share frames."""

    def __init__(self, resource: Resource, accepted: Accepted, include: str) -> None:
        self._resource = resource
        self._accepted = accepted
        self._include = include
        self._headers = True
        parts = (
            resource.gvk.group_version,
            accepted.media_type,
            accepted.transform,
            accepted.version,
            include,
        )
        self._form = " ".join(parts)

    @property
    def name(self) -> str:
        return f"{self._form} headers" if self._headers else self._form

    def once(self) -> None:
        """A Table's columns are told with the first event only."""
        self._headers = self._headers and self._accepted.transform != "Table"

    def make(self, kind: str, entry: Entry) -> bytes:
        """The frame of an event."""
        if not self._accepted.transform:
            data = object_bytes(self._resource, entry)
        else:
            data = self._transformed(served(self._resource, entry.object()), entry.object())
        return self.raw(kind, data)

    def bookmark(self, obj: dict[str, Any]) -> bytes:
        data = self._transformed(obj, obj) if self._accepted.transform else codec.dumps(obj)
        return self.raw("BOOKMARK", data)

    def raw(self, kind: str, data: bytes) -> bytes:
        """``data``: an object as JSON."""
        return media.frame(self._accepted.media_type, kind, data)

    def _transformed(self, obj: dict[str, Any], stored: dict[str, Any]) -> bytes:
        if self._accepted.transform != "Table":
            return codec.dumps(partial(obj, self._accepted.version))
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        gvk, accepted = self._resource.gvk, self._accepted
        table = build(
            gvk,
            [obj],
            accepted,
            self._include,
            metadata,
            stored=[stored],
            headers=self._headers,
            columns=self._resource.columns,
        )
        return codec.dumps(table)
