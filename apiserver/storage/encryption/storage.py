"""The storage around another one that keeps ciphertext of some resources.

Between what speaks of objects (handlers, watch caches) and what keeps bytes (embedded store, etcd): both sides see no
difference, but for `Stored.stale`, by which a value that another key has written, or none, is written again by an
update that changes nothing. A resource of which the configuration says nothing is not touched: its operations and
watches are those of the storage behind.

A value that cannot be read stops what asks for it (`Undecodable`) and is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from apiserver.api.field_errors import quote
from apiserver.storage.encryption.ciphers import Transformer, TransformError
from apiserver.storage.encryption.configuration import GroupResource
from apiserver.storage.encryption.providers import Providers
from apiserver.storage.interface import (
    ListResult,
    RevisionMismatch,
    Storage,
    StorageEvent,
    StorageWatch,
    Stored,
    Undecodable,
    WatchBatch,
)

T = TypeVar("T")
_ROOT: Final = "/registry/"
_ROOT_SIZE: Final = len(_ROOT)
_TURN_BYTES: Final = 1 << 20
"""How much is decrypted before others have their turn: about a millisecond."""
_ITEM_BYTES: Final = 4096
"""What an item costs beside its bytes."""


class Owners:
    """Whose a key is. ``built_in``: group and resource by the prefix of their keys (``/registry/services/specs``)."""

    def __init__(self, built_in: Mapping[str, tuple[str, str]]) -> None:
        self._by_place = {
            tuple(prefix.removeprefix(_ROOT).split("/")): GroupResource(*owner)
            for prefix, owner in built_in.items()
        }
        self._nested = frozenset(place[0] for place in self._by_place if len(place) > 1)
        self.plain = {place[0]: owner for place, owner in self._by_place.items() if len(place) == 1}
        """By the first segment behind ``/registry/``, where that says it all."""

    def of(self, key: str) -> GroupResource | None:
        """None for what has no resource, such as the leases of servers. Custom resources are below their group."""
        first, _, rest = key.removeprefix(_ROOT).partition("/")
        if first in self._nested or "." in first:
            second = rest.partition("/")[0]
            return self._by_place.get((first, second)) or (
                GroupResource(first, second) if "." in first and second else None
            )
        return self._by_place.get((first,))


class EncryptedStorage:
    """``follows``: the providers may be replaced while it is in use."""

    def __init__(
        self, inner: Storage, owners: Owners, providers: Providers, *, follows: bool = False
    ) -> None:
        self._inner = inner
        self._owners = owners
        self._follows = follows
        self.replace_providers(providers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def replace_providers(self, providers: Providers) -> None:
        """For all that is read and written from now on, by watches that are open, too."""
        self._providers = providers
        self._known = {first: providers.of(owner) for first, owner in self._owners.plain.items()}

    def _of(self, key: str) -> Transformer | None:
        """Asked at every operation: most keys are told apart by what stands between two slashes."""
        try:
            return self._known[key[_ROOT_SIZE : key.index("/", _ROOT_SIZE)]]
        except (KeyError, ValueError):
            return self._of_other(key)

    def _of_other(self, key: str) -> Transformer | None:
        owner = self._owners.of(key)
        return None if owner is None else self._providers.of(owner)

    # ---- reading

    def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> Coroutine[Any, Any, tuple[Stored | None, int]]:
        work = self._inner.get(key, min_revision=min_revision, linearizable=linearizable)
        return work if self._of(key) is None else self._get(key, work)

    async def _get(
        self, key: str, work: Coroutine[Any, Any, tuple[Stored | None, int]]
    ) -> tuple[Stored | None, int]:
        stored, revision = await work
        return self._opened(stored), revision

    def list(
        self,
        prefix: str,
        *,
        start: str = "",
        limit: int = 0,
        revision: int = 0,
        min_revision: int = 0,
        linearizable: bool = True,
    ) -> Coroutine[Any, Any, ListResult]:
        work = self._inner.list(
            prefix,
            start=start,
            limit=limit,
            revision=revision,
            min_revision=min_revision,
            linearizable=linearizable,
        )
        return work if self._of(prefix) is None else self._list(prefix, work)

    async def _list(self, prefix: str, work: Coroutine[Any, Any, ListResult]) -> ListResult:
        listed = await work
        items: list[Stored] = []
        async for turn in _in_turns(listed.items, lambda item: len(item.value)):
            transformer = self._of(prefix)
            items += [_opened_in(item, transformer) for item in turn]
        return replace(listed, items=items)

    def _opened(self, stored: Stored | None) -> Stored | None:
        """Of one value the original says only what is wrong with it, of one among others also which it is."""
        transformer = None if stored is None else self._of(stored.key)
        if stored is None or transformer is None:
            return stored
        try:
            return _plain(stored, transformer)
        except TransformError as exc:
            raise Undecodable(str(exc)) from exc

    # ---- writing

    def create(self, key: str, value: bytes, *, ttl: int = 0) -> Coroutine[Any, Any, int]:
        return self._inner.create(key, self._sealed(key, value), ttl=ttl)

    def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0
    ) -> Coroutine[Any, Any, int]:
        work = self._inner.update(key, self._sealed(key, value), expected_revision, ttl=ttl)
        return work if self._of(key) is None else self._swapped(work)

    def delete(self, key: str, expected_revision: int) -> Coroutine[Any, Any, int]:
        work = self._inner.delete(key, expected_revision)
        return work if self._of(key) is None else self._swapped(work)

    def _sealed(self, key: str, value: bytes) -> bytes:
        transformer = self._of(key)
        return value if transformer is None else transformer.to_storage(value, key.encode())

    async def _swapped(self, work: Coroutine[Any, Any, int]) -> int:
        try:
            return await work
        except RevisionMismatch as exc:
            raise RevisionMismatch(exc.key, self._opened(exc.current)) from exc

    # ---- watching

    def watch(self, prefix: str, start_revision: int) -> AbstractAsyncContextManager[StorageWatch]:
        if self._of(prefix) is None and not self._follows:
            return self._inner.watch(prefix, start_revision)
        return self._watch(prefix, start_revision)

    @asynccontextmanager
    async def _watch(self, prefix: str, start_revision: int) -> AsyncIterator[StorageWatch]:
        async with self._inner.watch(prefix, start_revision) as watch:
            yield _Watch(watch, lambda: self._of(prefix))

    # ---- the store as a whole

    def current_revision(self) -> Coroutine[Any, Any, int]:
        return self._inner.current_revision()

    def compact(self, revision: int) -> Coroutine[Any, Any, None]:
        return self._inner.compact(revision)


class _Watch:
    def __init__(self, watch: StorageWatch, transformer: Callable[[], Transformer | None]) -> None:
        self._watch = watch
        self._transformer = transformer

    def request_progress(self) -> None:
        self._watch.request_progress()

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        async for batch in self._watch:
            if self._transformer() is None or not batch.events:
                yield batch
                continue
            events: list[StorageEvent] = []
            async for turn in _in_turns(batch.events, _size):
                transformer = self._transformer()
                events += [_event(event, transformer) for event in turn]
            yield WatchBatch(events, batch.revision)


def _size(event: StorageEvent) -> int:
    return len(event.value or b"") + len(event.previous or b"")


async def _in_turns(items: Sequence[T], size: Callable[[T], int]) -> AsyncIterator[list[T]]:
    """All of them, in pieces between which others have their turn."""
    piece: list[T] = []
    left = _TURN_BYTES
    for item in items:
        piece.append(item)
        left -= _ITEM_BYTES + size(item)
        if left <= 0:
            yield piece
            await asyncio.sleep(0)
            piece, left = [], _TURN_BYTES
    if piece:
        yield piece


def _plain(stored: Stored, transformer: Transformer) -> Stored:
    value, stale = transformer.from_storage(stored.value, stored.key.encode())
    return Stored(stored.key, value, stored.revision, stale)


def _opened_in(stored: Stored, transformer: Transformer | None) -> Stored:
    if transformer is None:
        return stored
    try:
        return _plain(stored, transformer)
    except TransformError as exc:
        raise _untransformable(stored.key, exc) from exc


def _event(event: StorageEvent, transformer: Transformer | None) -> StorageEvent:
    if transformer is None:
        return event
    key = event.key.encode()
    try:
        value, previous = (
            None if side is None else transformer.from_storage(side, key)[0]
            for side in (event.value, event.previous)
        )
    except TransformError as exc:
        raise _untransformable(event.key, exc) from exc
    return StorageEvent(event.key, event.revision, value, previous)


def _untransformable(key: str, exc: TransformError) -> Undecodable:
    return Undecodable(f"unable to transform key {quote(key)}: {exc}")
