"""Stored configurations, compiled: policies, bindings, webhooks, each once for every change of it.

Fed by the watch cache when somebody asks; so what is configured holds within a moment, and a write costs one
look at an empty table where nothing is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from apiserver.api import errors
from apiserver.api.labels import SelectorError
from apiserver.auth.feed import Feed
from apiserver.storage.cacher import ResourceCache
from apiserver.storage.entry import Entry

T = TypeVar("T")


class Configured(Generic[T]):
    def __init__(self, cache: ResourceCache, compile_: Callable[[dict[str, Any]], T]) -> None:
        """``compile_`` gets a stored object, which it does not change."""
        self._compile = compile_
        self._by_name: dict[str, T] = {}
        self._ordered: tuple[T, ...] | None = None
        self._broken: dict[str, str] = {}
        self._feed = Feed(cache, self._put, self._remove)

    async def all(self) -> Sequence[T]:
        """In the order of names. Raises 500 while one cannot be used: what it would have refused is not let through."""
        await self._feed.ready()
        self._feed.poll()
        for name, reason in self._broken.items():
            raise errors.internal(f"admission configuration {name} cannot be used: {reason}")
        if self._ordered is None:
            self._ordered = tuple(self._by_name[name] for name in sorted(self._by_name))
        return self._ordered

    def _put(self, entry: Entry) -> None:
        obj = entry.object()
        name = obj["metadata"]["name"]
        self._remove(name)
        try:
            self._by_name[name] = self._compile(obj)
        except (
            SelectorError,
            LookupError,
            TypeError,
            AttributeError,
        ) as exc:  # written past the rules of its kind
            self._broken[name] = str(exc)
        self._ordered = None

    def _remove(self, path: str) -> None:
        self._broken.pop(path, None)
        if self._by_name.pop(path, None) is not None:
            self._ordered = None
