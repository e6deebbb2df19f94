"""Deletes the instances of a definition that is being deleted, then lets it go.

Source: apiextensions ``pkg/controller/finalizer/crd_finalizer.go``. Several servers may do it at the same
time: what one deleted the others find gone. An instance with finalizers of its own holds the definition until
they are gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from apiserver.api import codec, meta
from apiserver.api.conditions import set_condition
from apiserver.api.errors import StatusError
from apiserver.crd.definition import FINALIZER, Definition
from apiserver.storage.interface import RevisionMismatch, Storage, StorageError

log = logging.getLogger(__name__)

Object = dict[str, Any]
DeleteInstance = Callable[[Definition, str, str], Awaitable[None]]
"""(definition, namespace, name): as a client's request would. Raises StatusError, StorageError."""
_POLL_SECONDS: Final = 0.25
_LONGEST_POLL: Final = 5.0


class Cleanup:
    def __init__(self, storage: Storage, delete: DeleteInstance, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._delete = delete
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, key: str, definition: Definition) -> None:
        """``key``: that of the definition. Nothing if it goes on already."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(
                self._run(key, definition), name=f"clean up {definition.name}"
            )

    def forget(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        for key in list(self._tasks):
            self.forget(key)

    async def _run(self, key: str, definition: Definition) -> None:
        delay = _POLL_SECONDS
        while True:
            try:
                if await self._step(key, definition):
                    return
            except (StatusError, StorageError) as exc:
                log.warning("instances of %s cannot be deleted yet: %s", definition.name, exc)
            except Exception:  # else the definition would be there for ever
                log.exception("instances of %s cannot be deleted yet", definition.name)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_POLL)

    async def _step(self, key: str, definition: Definition) -> bool:
        """True: the definition is gone, or nothing of ours is left to do."""
        if not definition.established:
            return await self._finish(key, "NeverEstablished", "resource was never established")
        listed = await self._storage.list(definition.storage_prefix + "/")
        if not listed.items:
            return await self._finish(key, "InstanceDeletionCompleted", "removed all instances")
        await self._mark(key, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        for item in listed.items:
            obj = codec.decode(item.value)
            if not meta.is_deleting(obj):
                with suppress(RevisionMismatch):
                    await self._delete(definition, meta.namespace(obj), meta.name(obj))
        return False

    async def _finish(self, key: str, reason: str, message: str) -> bool:
        return await self._mark(key, "False", reason, message, done=True)

    async def _mark(self, key: str, status: str, reason: str, message: str, *, done: bool = False) -> bool:
        """Set the condition Terminating; ``done``: also take our finalizer away, and with the last one the object."""
        stored, _ = await self._storage.get(key)
        if stored is None:
            return True
        obj = codec.decode(stored.value)
        conditions = obj.setdefault("status", {}).get("conditions") or []
        new = {"type": "Terminating", "status": status, "reason": reason, "message": message}
        set_condition(conditions, new, meta.format_time(self._now()))
        obj["status"]["conditions"] = conditions
        kept = [name for name in meta.finalizers(obj) if not (done and name == FINALIZER)]
        obj["metadata"]["finalizers"] = kept
        try:
            if kept:
                await self._write(key, obj, stored.value, stored.revision)
            else:
                await self._storage.delete(key, stored.revision)
        except RevisionMismatch:
            return False
        return done

    async def _write(self, key: str, obj: Object, before: bytes, revision: int) -> None:
        data = codec.encode(obj)
        if data != before:
            await self._storage.update(key, data, revision)
