"""What the watch cache holds: one object at one revision, as bytes, parsed at most once.

Pure. An :class:`Entry` is shared by every list and watcher that sees that revision of the object, so whatever is
derived from it (the parsed form, a rendering in another version) is computed once and kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from apiserver.api import codec

_METADATA: Final = b'"metadata":'


class Entry:
    """``data`` is the stored object with its resourceVersion, layout as :func:`apiserver.api.codec.encode`."""

    __slots__ = ("_object", "_renderings", "data", "key", "revision")

    def __init__(self, key: str, value: bytes, revision: int) -> None:
        self.key = key
        self.revision = revision
        self.data = codec.splice(value, revision)
        self._object: dict[str, Any] | None = None
        self._renderings: dict[str, bytes] | None = None

    def object(self) -> dict[str, Any]:
        """The parsed form, shared: not to be changed."""
        if self._object is None:
            self._object = codec.decode(self.data)
        return self._object

    def rendering(self, name: str, make: Callable[[Entry], bytes]) -> bytes:
        """``make(self)``, remembered under ``name``."""
        if self._renderings is None:
            self._renderings = {}
        data = self._renderings.get(name)
        if data is None:
            data = self._renderings[name] = make(self)
        return data


class CacheEvent:
    """One change. ``entry`` is the new state, for a deletion the last state at the revision of the deletion;
    ``previous`` the state before, None for a creation."""

    __slots__ = ("_frames", "_left", "deleted", "entry", "previous", "revision")

    def __init__(self, entry: Entry, previous: Entry | None, deleted: bool) -> None:
        self.entry = entry
        self.previous = previous
        self.deleted = deleted
        self.revision = entry.revision
        self._frames: dict[tuple[str, str], bytes] = {}
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
