"""Deletes each bootstrap token of ``kube-system`` when its time has come."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import SECRETS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.tokencleaner.plan import TYPE, seconds_left

_NAMESPACE = "kube-system"


class TokenCleaner:
    name = "token-cleaner-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        self._secrets = context.informers.informer(
            SECRETS, namespace=_NAMESPACE, field_selector=f"type={TYPE}"
        )
        self._secrets.add_handler(self._changed, lambda _, new: self._changed(new))

    def _changed(self, secret: Object) -> None:
        self._queue.add(meta.object_key(secret))

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, 1, self.name)

    async def sync(self, key: str) -> None:
        secret = self._secrets.store.get(key)
        left = seconds_left(secret, self._context.now()) if secret is not None else None
        if secret is None or left is None:
            return
        if left > 0:
            self._queue.add_after(key, left)
            return
        try:
            await self._client.delete(SECRETS, meta.name(secret), _NAMESPACE, uid=meta.uid(secret))
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
