"""The storage over the store member that lives in this process: what a master uses."""

from __future__ import annotations

import msgspec

from apiserver.storage.interface import FutureRevision
from apiserver.storage.kv import KVStorage, translated
from kvstore.errors import StoreError
from kvstore.member import Member
from kvstore.types import RangeRequest, RangeResponse


class EmbeddedStorage(KVStorage):
    """Reads what is applied here, once the member has caught up as far as it must."""

    def __init__(self, member: Member) -> None:
        super().__init__(member)

    async def _read(self, request: RangeRequest, min_revision: int, linearizable: bool) -> RangeResponse:
        try:
            return await self._read_here(request, min_revision, linearizable)
        except StoreError as error:
            raise translated(error) from error

    async def _read_here(self, request: RangeRequest, min_revision: int, linearizable: bool) -> RangeResponse:
        store = self._store
        if linearizable or min_revision > store.revision():
            await self.current_revision()
        if min_revision > store.revision():
            raise FutureRevision(min_revision, store.revision())
        own = msgspec.structs.replace(request, serializable=True)
        return await store.range(own)  # of what is here, so there is nothing to wait for
