"""Writes adoption and release, after asking the server whether the owner still exists.

The live read before the first adoption guards against adopting for an owner that was deleted, and perhaps
made anew under the same name, after the cache was last filled.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.labels import Selector
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import kind_of
from components.client.transport import ApiClient
from components.controllers.common.claims import adoption_patch, classify, release_patch

logger = logging.getLogger(__name__)


class Ownership:
    """Claims objects of one resource (`owned`) for owners of another."""

    def __init__(
        self, client: ApiClient, owned: GroupVersionResource, owner_resource: GroupVersionResource
    ) -> None:
        self._client = client
        self._owned = owned
        self._owners = owner_resource

    async def claim(self, owner: Object, selector: Selector, objects: Iterable[Object]) -> list[Object]:
        """The objects that are the owner's now, freshly adopted ones included."""
        claims = classify(owner, selector, objects)
        for obj in claims.release:
            await self._patch(obj, release_patch(obj, owner))
        if not claims.adopt:
            return claims.keep
        await self._check_owner(owner)
        kind = kind_of(self._owners)
        adopted = []
        for obj in claims.adopt:
            patch = adoption_patch(obj, owner, self._owners.group_version, kind)
            result = await self._patch(obj, patch)
            if result is not None:
                adopted.append(result)
        return claims.keep + adopted

    async def _check_owner(self, owner: Object) -> None:
        fresh = await self._client.get(self._owners, meta.name(owner), meta.namespace(owner))
        if meta.uid(fresh) != meta.uid(owner):
            raise ApiError(409, "Conflict", f"{meta.object_key(owner)} was replaced: original uid is gone")
        if meta.is_deleting(fresh):
            raise ApiError(409, "Conflict", f"{meta.object_key(owner)} has just been deleted")

    async def _patch(self, obj: Object, patch: Object) -> Object | None:
        """The patched object; None if it is gone, or was replaced by another of its name."""
        try:
            return await self._client.patch(self._owned, meta.name(obj), patch, meta.namespace(obj))
        except ApiError as error:
            if error.is_not_found or error.is_invalid:
                return None
            raise
