"""The storage over a store in other processes: a cluster of `python -m kvstore`, or any etcd (`--etcd-servers`).

Keys and values are the same as in the embedded store.
"""

from __future__ import annotations

import msgspec

from apiserver.storage.interface import FutureRevision
from apiserver.storage.kv import KVStorage, patiently
from kvstore.client import Client
from kvstore.types import RangeRequest, RangeResponse


class EtcdStorage(KVStorage):
    """A read that must be new is linearizable; any endpoint may answer the others."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)

    async def _read(self, request: RangeRequest, min_revision: int, linearizable: bool) -> RangeResponse:
        if request.revision > self._store.revision():
            await self.current_revision()
        if request.revision > self._store.revision():
            raise FutureRevision(request.revision, self._store.revision())
        asked = msgspec.structs.replace(request, serializable=not (linearizable or min_revision))
        response = await patiently(lambda: self._store.range(asked))
        if min_revision > response.header.revision:
            raise FutureRevision(min_revision, response.header.revision)
        return response
