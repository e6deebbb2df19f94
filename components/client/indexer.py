"""A keyed store of objects with secondary indexes (P): what an informer fills and controllers read.

Objects are shared with every reader: never change one, copy it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from apiserver.api.meta import Object, object_key

IndexFunc = Callable[[Object], Iterable[str]]
Objects = list[Object]
Keys = list[str]

NAMESPACE_INDEX = "namespace"


def index_by_namespace(obj: Object) -> list[str]:
    """The index function that belongs to NAMESPACE_INDEX."""
    return [obj["metadata"].get("namespace") or ""]


class Indexer:
    """Invariant: index[name][value] holds exactly the keys whose object's index function gives `value`."""

    def __init__(self, indexers: Mapping[str, IndexFunc] | None = None) -> None:
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, IndexFunc] = {}
        self._index: dict[str, dict[str, dict[str, None]]] = {}
        self.add_indexers(indexers or {})

    def add_indexers(self, indexers: Mapping[str, IndexFunc]) -> None:
        """More indexes, also over what is already stored; a name keeps its first function."""
        for name, function in indexers.items():
            if name in self._indexers:
                continue
            self._indexers[name] = function
            self._index[name] = {}
            for key, obj in self._objects.items():
                self._insert(name, key, obj)

    def get(self, key: str) -> Object | None:
        return self._objects.get(key)

    def list(self) -> Objects:
        return [*self._objects.values()]

    def keys(self) -> Keys:
        return [*self._objects]

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: str) -> bool:
        return key in self._objects

    def by_index(self, index: str, value: str) -> Objects:
        """The objects whose `index` function gives `value`; KeyError for an unknown index."""
        return [self._objects[key] for key in self._index[index].get(value, ())]

    def put(self, obj: Object) -> Object | None:
        """Store `obj` under its key; the object it replaces, if any."""
        key = object_key(obj)
        old = self._objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        for name in self._indexers:
            self._insert(name, key, obj)
        return old

    def remove(self, key: str) -> Object | None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
        return old

    def _insert(self, name: str, key: str, obj: Object) -> None:
        for value in self._indexers[name](obj):
            self._index[name].setdefault(value, {})[key] = None

    def _unindex(self, key: str, obj: Object) -> None:
        for name, function in self._indexers.items():
            for value in function(obj):
                keys = self._index[name].get(value)
                if keys is None:
                    continue
                keys.pop(key, None)
                if not keys:
                    del self._index[name][value]
