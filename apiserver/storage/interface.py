"""The contract between the API server and whatever keeps its objects.

Owned by the API server (the side that uses it). ``embedded.py`` implements it over a local store member,
``memory.py`` in a dict for tests; ``tests/contracts/storage`` runs one suite on each. Values are opaque
bytes, keys are ``/registry/...`` paths, revisions are those of the whole store.

    StorageError
    ├── KeyExists            create of a key that is there
    ├── RevisionMismatch     compare-and-swap lost; carries what is stored now
    ├── Compacted            the revision asked for is no longer kept
    ├── FutureRevision       the revision asked for does not exist yet
    ├── Undecodable          what is stored cannot be given in the form asked for; waiting does not help
    └── Unavailable          no quorum or no answer in time; the outcome of a write is unknown
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class StorageError(Exception):
    """Base of everything a storage raises on purpose."""


class KeyExists(StorageError):
    def __init__(self, key: str) -> None:
        super().__init__(f"key exists: {key}")
        self.key = key


class RevisionMismatch(StorageError):
    """``current`` is what is stored now, None when the key is gone."""

    def __init__(self, key: str, current: Stored | None) -> None:
        super().__init__(f"revision mismatch on {key}")
        self.key = key
        self.current = current


class Compacted(StorageError):
    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"required revision has been compacted (oldest kept: {compact_revision})")
        self.compact_revision = compact_revision


class FutureRevision(StorageError):
    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"required revision {asked} is a future revision (current: {current})")
        self.asked = asked
        self.current = current


class Undecodable(StorageError):
    pass


class Unavailable(StorageError):
    pass


@dataclass(frozen=True, slots=True)
class Stored:
    """One value; ``revision`` is that of its last change. ``stale``: the store has it in another form, so that writing
    the same value again is a change.
    """

    key: str
    value: bytes
    revision: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class ListResult:
    """``revision`` is that of the snapshot. ``more``: the limit cut the list; ``remaining`` counts the rest."""

    items: list[Stored]
    revision: int
    more: bool = False
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class StorageEvent:
    """One change of one key. ``value`` is None for a deletion, ``previous`` None for a creation."""

    key: str
    revision: int
    value: bytes | None
    previous: bytes | None


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """Changes in revision order. Everything up to and including ``revision`` has now been delivered."""

    events: list[StorageEvent]
    revision: int


class StorageWatch(Protocol):
    """An open watch: iterate for batches; ``request_progress`` asks for one soon even if nothing changed."""

    def __aiter__(self) -> AsyncIterator[WatchBatch]: ...
    def request_progress(self) -> None: ...


class Storage(Protocol):
    """Reads are linearizable unless told otherwise; every method may raise :class:`Unavailable`."""

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        """The value and the revision it was read at."""
        ...

    async def list(
        self,
        prefix: str,
        *,
        start: str = "",
        limit: int = 0,
        revision: int = 0,
        min_revision: int = 0,
        linearizable: bool = True,
    ) -> ListResult:
        """Keys with the prefix, ascending, from ``start`` on; at ``revision`` unless 0. Raises Compacted,
        FutureRevision."""
        ...

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        """The revision of the creation; ``ttl`` in seconds, 0 for ever. Raises KeyExists."""
        ...

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        """Raises RevisionMismatch."""
        ...

    async def delete(self, key: str, expected_revision: int) -> int:
        """Raises RevisionMismatch."""
        ...

    def watch(self, prefix: str, start_revision: int) -> AbstractAsyncContextManager[StorageWatch]:
        """Changes at ``start_revision`` and later. Entering or iterating raises Compacted."""
        ...

    async def current_revision(self) -> int:
        """The revision that a linearizable read must see; already readable here on return."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget history before ``revision``; no error if it is already forgotten."""
        ...
