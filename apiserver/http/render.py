"""Bytes of stored objects in the form a client asked for. Bytes first: plain JSON of an unconverted kind is the stored
bytes themselves, everything else is parsed once per revision and remembered on the entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from apiserver.api import codec
from apiserver.http import media
from apiserver.http.negotiation import Accepted
from apiserver.http.rest.call import converts, served
from apiserver.http.table import build, columns_of, partial
from apiserver.storage.entry import Entry, list_item

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

PIECE: Final = 256 * 1024


def object_bytes(resource: Resource, entry: Entry) -> bytes:
    """The whole object in the resource's version."""
    if not converts(resource):
        return entry.data
    return entry.rendering(resource.gvk.group_version, lambda e: codec.dumps(served(resource, e.object())))


def list_pieces(
    resource: Resource, entries: Sequence[Entry], revision: int, continue_: str = "", remaining: int = 0
) -> Pieces:
    """A list: the items' own bytes, without their kind unless it is a list of custom resources."""
    custom = resource.custom
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if continue_ or custom is not None:
        metadata["continue"] = continue_
    if remaining:
        metadata["remainingItemCount"] = remaining
    kind = resource.gvk.kind + "List" if custom is None else custom.list_kind
    head = codec.dumps({"kind": kind, "apiVersion": resource.gvk.group_version, "metadata": metadata})
    if custom is not None:
        items = [object_bytes(resource, entry) for entry in entries]
    elif converts(resource):
        items = [list_item(object_bytes(resource, entry)) for entry in entries]
    else:
        items = [entry.item for entry in entries]
    return Pieces(head[:-1] + b',"items":[', items, b"]}")


class Pieces:
    """Bytes that need not be in one place: ``head``, the items with commas between them, ``tail``."""

    def __init__(self, head: bytes, items: list[bytes], tail: bytes) -> None:
        self._head, self._items, self._tail = head, items, tail

    def __len__(self) -> int:
        commas = max(0, len(self._items) - 1)
        return len(self._head) + sum(map(len, self._items)) + commas + len(self._tail)

    def joined(self) -> bytes:
        return b"".join((self._head, b",".join(self._items), self._tail))

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of `PIECE` bytes or a little more."""
        piece, size = [self._head], len(self._head)
        first = b""
        for item in self._items:
            piece += (first, item)
            first = b","
            size += len(item)
            if size >= PIECE:
                yield b"".join(piece)
                piece, size = [], 0
        yield b"".join((*piece, self._tail))


class Framing:
    """Watch frames in one client's form. ``name`` stands for the form: watchers of the same name share frames."""

    def __init__(self, resource: Resource, accepted: Accepted, include: str) -> None:
        self._resource = resource
        self._accepted = accepted
        self._include = include
        self._headers = accepted.transform == "Table"
        version = resource.gvk.group_version
        self.form = " ".join((version, accepted.media_type, accepted.transform, accepted.version, include))
        """The same for two watchers whose frames are the same but for the columns of a Table."""
        self.name = f"{self.form} headers" if self._headers else self.form

    def once(self) -> None:
        """A Table's columns are told with the first event only."""
        if self._headers:
            self._headers, self.name = False, self.form

    def later(self) -> Framing:
        """The framing of events after the first."""
        framing = Framing(self._resource, self._accepted, self._include)
        framing.once()
        return framing

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
        columns = columns_of(self._resource.gvk, self._resource.columns)
        table = build(
            columns,
            self._resource.gvk,
            [obj],
            self._accepted,
            self._include,
            metadata,
            stored=[stored],
            headers=self._headers,
        )
        return codec.dumps(table)
