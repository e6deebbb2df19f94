"""A storage that says how long each operation took; everything else is the inner one's.

Between the API server's handlers and caches and whatever keeps the objects. Watches are passed through unmeasured.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from apiserver.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    ListResult,
    RevisionMismatch,
    Storage,
    StorageError,
    StorageWatch,
    Stored,
)
from apiserver.trail import CURRENT

T = TypeVar("T")
_ANSWERS = (KeyExists, RevisionMismatch, Compacted, FutureRevision)
"""Errors that are answers: the store did its work."""


def _noted(key: str, revision: int, previous: int) -> int:
    trail = CURRENT.get()
    if trail is not None:
        trail.wrote(key, revision, previous)
    return revision


class MeasuredStorage:
    """``report(operation, key, seconds, failed)`` is called after each operation. What was written is noted in the
    trail of the request, if it has one."""

    def __init__(self, inner: Storage, report: Callable[[str, str, float, bool], None]) -> None:
        self._inner = inner
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        work = self._inner.get(key, min_revision=min_revision, linearizable=linearizable)
        return await self._timed("get", key, work)

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
        work = self._inner.list(
            prefix,
            start=start,
            limit=limit,
            revision=revision,
            min_revision=min_revision,
            linearizable=linearizable,
        )
        return await self._timed("list", prefix, work)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        revision = await self._timed("create", key, self._inner.create(key, value, ttl=ttl))
        return _noted(key, revision, 0)

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        work = self._inner.update(key, value, expected_revision, ttl=ttl)
        return _noted(key, await self._timed("update", key, work), expected_revision)

    async def delete(self, key: str, expected_revision: int) -> int:
        revision = await self._timed("delete", key, self._inner.delete(key, expected_revision))
        return _noted(key, revision, expected_revision)

    def watch(self, prefix: str, start_revision: int) -> AbstractAsyncContextManager[StorageWatch]:
        return self._inner.watch(prefix, start_revision)

    async def current_revision(self) -> int:
        return await self._timed("getCurrentResourceVersion", "", self._inner.current_revision())

    async def compact(self, revision: int) -> None:
        await self._timed("compact", "", self._inner.compact(revision))

    async def _timed(self, operation: str, key: str, work: Awaitable[T]) -> T:
        started, failed = time.perf_counter(), False
        try:
            return await work
        except StorageError as exc:
            failed = not isinstance(exc, _ANSWERS)
            raise
        finally:
            self._report(operation, key, time.perf_counter() - started, failed)
