"""Where faults are kept: in the store, under a prefix of their own, so that every API server has the same.

Fed by `http.fault_api`; `http.filters.faults` asks for what is due. A server learns of a change from its watch cache as
it does of everything; the one that was asked waits for its own before it answers, and a client that wants to be sure of
another asks that one for the faults of a version (``resourceVersion``) that is not older.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from apiserver.api import codec, errors
from apiserver.api.gvk import GroupResource
from apiserver.faults import rule
from apiserver.faults.matching import Facts
from apiserver.faults.rule import Fault, InvalidFault
from apiserver.faults.table import Table
from apiserver.storage.cacher import Caches, ResourceCache
from apiserver.storage.interface import KeyExists, RevisionMismatch, Storage

log = logging.getLogger(__name__)

PREFIX: Final = "/registry/kuberaft.io/faults/"
RESOURCE: Final = GroupResource("kuberaft.io", "faults")

Object = dict[str, Any]


class FaultStore:
    """One API server's."""

    def __init__(self, storage: Storage, caches: Caches) -> None:
        self._storage = storage
        self._caches = caches
        self._table = Table()
        self._seen = (0, 0)

    @property
    def _cache(self) -> ResourceCache:
        return self._caches.of(PREFIX)

    # ---- for those who set them

    async def add(self, fault: Fault) -> Object:
        """Raises 409 when there is one of this name."""
        data = codec.encode(rule.write(fault))
        try:
            revision = await self._storage.create(PREFIX + fault.name, data)
        except KeyExists:
            raise errors.already_exists(RESOURCE, fault.name) from None
        await self._cache.wait_until(revision)
        return codec.decode_stored(data, revision)

    async def remove(self, name: str) -> Object:
        """Raises 404."""
        while True:
            stored, _ = await self._storage.get(PREFIX + name)
            if stored is None:
                raise errors.not_found(RESOURCE, name)
            try:
                revision = await self._storage.delete(stored.key, stored.revision)
            except RevisionMismatch:
                continue  # a request has been met meanwhile
            await self._cache.wait_until(revision)
            return codec.decode_stored(stored.value, revision)

    async def clear(self) -> tuple[list[Object], int]:
        """What was removed, and the version without it."""
        removed = []
        for item in (await self._storage.list(PREFIX)).items:
            try:
                removed.append(await self.remove(item.key.removeprefix(PREFIX)))
            except errors.StatusError:
                continue  # another has removed it
        return removed, await self._cache.wait_current()

    async def listed(self, not_older: int = 0) -> tuple[list[Object], int]:
        """With what this server has counted, and the version they are of. Raises NotYet."""
        if not_older:
            await self._cache.wait_until(not_older)
        else:
            await self._cache.wait_current()
        await self._refresh()
        return [self._shown(entry.object()) for entry in self._cache.select(PREFIX)], self._cache.revision

    def _shown(self, stored: Object) -> Object:
        counts = self._table.counts(stored["metadata"]["name"])
        here = {"matched": counts.matched, "injected": counts.injected}
        return {**stored, "status": {**stored.get("status", {}), **here}}

    # ---- for those who do them

    async def due(self, facts: Facts) -> list[Fault]:
        await self._refresh()
        return self._table.due(facts)

    async def take(self, fault: Fault) -> bool:
        """Whether the fault is still to be done: no other server has met the last of a ``first`` share meanwhile."""
        first = fault.spec.share.first
        if first is not None and not await self._take_one(fault.name, first):
            return False
        self._table.injected(fault)
        return True

    async def _take_one(self, name: str, first: int) -> bool:
        """Each turn that fails is another's that succeeds, so there are ``first`` turns at most."""
        while True:
            stored, _ = await self._storage.get(PREFIX + name)
            if stored is None:
                return False
            document = codec.decode(stored.value)
            taken = document["status"]["taken"]
            if taken >= first:
                return False
            document["status"]["taken"] = taken + 1
            try:
                await self._storage.update(stored.key, codec.encode(document), stored.revision)
            except RevisionMismatch:
                continue
            return True

    async def newest(self) -> int:
        return await self._storage.current_revision()

    async def compact(self) -> int:
        """Forget everything before now; which version that is."""
        revision = await self._storage.current_revision()
        await self._storage.compact(revision)
        return revision

    async def _refresh(self) -> None:
        cache = self._cache
        if not cache.revision:
            await cache.ready()
        state = (cache.epoch, cache.end)
        if state != self._seen:
            self._seen = state
            self._table.replace(_readable(cache))


def _readable(cache: ResourceCache) -> list[Fault]:
    found = []
    for entry in cache.select(PREFIX):
        try:
            found.append(rule.read(entry.object()))
        except InvalidFault as error:  # of another version of this server
            log.warning("%s is left out: %s", entry.key, error)
    return found
