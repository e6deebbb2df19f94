"""What the watch cache holds: one object at one revision, as bytes, parsed as rarely as memory allows.

Pure. An :class:`Entry` is shared by every list and watcher that sees that revision of the object, so whatever is
derived from it (the parsed form, a rendering in another version) is computed once and kept beside it; parsed forms
take ten times the bytes, so only the youngest are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import codec
from apiserver.api.field_errors import quote
from apiserver.storage.interface import Undecodable

_METADATA: Final = b'"metadata":'
PARSED_BYTES: Final = 1 << 20
"""Of JSON whose parsed form is kept."""


class Entry:
    """``item`` is the stored object with its resourceVersion as an item of a list has it, ``head`` what goes before it
    in the whole object (see :func:`apiserver.api.codec.split`). Making one raises Undecodable."""

    __slots__ = ("_labels", "_object", "_renderings", "head", "item", "key", "revision")

    def __init__(self, key: str, value: bytes, revision: int) -> None:
        self.key = key
        self.revision = revision
        try:
            self.head, self.item = codec.split(value, revision)
        except codec.DecodeError as exc:
            raise Undecodable(f"unable to transform key {quote(key)}: {exc}") from exc
        self._object: dict[str, Any] | None = None
        self._labels: Mapping[str, str] | None = None
        self._renderings: dict[str, bytes] | None = None

    @property
    def data(self) -> bytes:
        """The whole object."""
        return self.head + self.item[1:]

    def object(self) -> dict[str, Any]:
        """The parsed form, shared: not to be changed."""
        obj = self._object
        if obj is None:
            obj = self._object = codec.decode(self.data)
            _parsed.add(self)
        return obj

    def excerpt(self, read: codec.Excerpt) -> dict[str, Any]:
        """What ``read`` finds, or the parsed form if that is kept: shared, not to be changed."""
        return read(self.item) if self._object is None else self._object

    def forget_object(self) -> None:
        self._object = None

    def labels(self) -> Mapping[str, str]:
        """Shared with other entries: not to be changed. The same mapping for the same labels, as a rule."""
        if self._labels is None:
            self._labels = codec.labels(self.item)
        return self._labels

    def rendering(self, name: str, make: Callable[[Entry], bytes]) -> bytes:
        """``make(self)``, remembered under ``name``."""
        if self._renderings is None:
            self._renderings = {}
        data = self._renderings.get(name)
        if data is None:
            data = self._renderings[name] = make(self)
        return data


class _Parsed:
    """Which entries keep their parsed form: the youngest, up to `PARSED_BYTES` of their JSON."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += len(entry.item)
        while self._bytes > PARSED_BYTES and len(self._entries) > 1:
            oldest = self._entries.popleft()
            self._bytes -= len(oldest.item)
            oldest.forget_object()


_parsed: Final = _Parsed()


class CacheEvent:
    """One change. ``entry`` is the new state, for a deletion the last state at the revision of the deletion;
    ``previous`` the state before, None for a creation."""

    __slots__ = ("_frames", "_left", "deleted", "entry", "previous", "revision")

    def __init__(self, entry: Entry, previous: Entry | None, deleted: bool) -> None:
        self.entry = entry
        self.previous = previous
        self.deleted = deleted
        self.revision = entry.revision
        self._frames: dict[tuple[str, str], bytes] | None = None
        self._left: Entry | None = None

    def seen_by(self, matches: Callable[[Entry], bool] | None) -> tuple[str, Entry] | None:
        """Event type and object as a watcher with this filter sees them, None if it does not concern it.

        An object that stops matching is DELETED to that watcher, with its last matching state at the revision of
        the change; one that starts matching is ADDED.
        """
        if matches is None:
            if self.deleted:
                return "DELETED", self.entry
            return ("ADDED" if self.previous is None else "MODIFIED"), self.entry
        now = not self.deleted and matches(self.entry)
        before = self.previous is not None and matches(self.previous)
        if now:
            return ("MODIFIED" if before else "ADDED"), self.entry
        return ("DELETED", self._last_matching()) if before else None

    def _last_matching(self) -> Entry:
        if self.deleted:
            return self.entry
        if self._left is None:
            assert self.previous is not None
            self._left = _at_revision(self.previous, self.revision)
        return self._left

    def frame(self, kind: str, encoding: str, make: Callable[[str, Entry], bytes], entry: Entry) -> bytes:
        """The bytes of this event in an encoding, made once for all watchers of that encoding."""
        if self._frames is None:
            self._frames = {}
        data = self._frames.get((kind, encoding))
        if data is None:
            data = self._frames[kind, encoding] = make(kind, entry)
        return data


def _at_revision(entry: Entry, revision: int) -> Entry:
    obj = codec.decode(entry.data)
    return Entry(entry.key, codec.encode(obj), revision)


def list_item(data: bytes) -> bytes:
    """An object as an item of a typed list, which carries no kind and apiVersion of its own."""
    at = data.find(_METADATA, 0, 512)
    return b"{" + data[at:] if at >= 0 else data
