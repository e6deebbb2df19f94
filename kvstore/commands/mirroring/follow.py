"""Every change of the source after a revision, into the destination, until cancelled.

A watch that breaks is opened again after the last revision that was applied; if the source has compacted
that away meanwhile, everything is copied anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kvstore.commands.connection import ServerError
from kvstore.commands.mirroring.copy import apply, copy, keys
from kvstore.commands.mirroring.plan import Change, Renaming, range_end, transactions
from kvstore.commands.session import Session
from kvstore.rpc.proto import rpc_pb2
from kvstore.rpc.proto.kv_pb2 import Event

log = logging.getLogger(__name__)

_REPORT_SECONDS = 1.0


@dataclass
class Mirror:
    """`revision`: everything of the source up to it is in the destination; None: nothing is yet.

    `merge`: one transaction may hold several revisions.
    `moved(revision)` is called about once a second while there is progress, and by `settle`.
    """

    source: Session
    destination: Session
    renaming: Renaming
    merge: bool
    revision: int | None
    moved: Callable[[int], None]
    _reported: float = field(default=0.0)

    async def copy(self) -> None:
        self.revision = await copy(self.source, self.destination, self.renaming, merge=self.merge)
        log.info("copied all keys as of revision %d", self.revision)
        self.settle()

    async def destination_is_empty(self) -> bool:
        async for _ in keys(self.destination, self.renaming.destination):
            return False
        return True

    async def follow(self) -> None:
        """Never returns. Raises the `ServerError`s that another try does not change."""
        while True:
            if self.revision is None:
                await self._copy_again()
            await self._follow_once()

    def settle(self) -> None:
        """Report what is done now."""
        self._reported = time.monotonic()
        if self.revision is not None:
            self.moved(self.revision)

    async def _copy_again(self) -> None:
        try:
            await self.copy()
        except ServerError as error:
            if error.code != "OUT_OF_RANGE":
                raise
            log.warning("the source was compacted while it was read; copying again: %s", error)

    async def _follow_once(self) -> None:
        """Until the watch ends, for whatever reason."""
        if self.revision is None:
            return
        prefix = self.renaming.prefix
        create = rpc_pb2.WatchCreateRequest(
            key=prefix or b"\0",
            range_end=range_end(prefix),
            start_revision=self.revision + 1,
            progress_notify=True,
        )
        async for response in self.source.watch(create):
            if response.canceled:
                self._canceled(response)
                return
            await self._apply(response)

    async def _apply(self, response: rpc_pb2.WatchResponse) -> None:
        for group in transactions(map(self._change, response.events), merge=self.merge):
            await apply(self.destination, group)
            self.revision = group[-1].revision
        if not response.events and not response.created:
            self.revision = max(self.revision or 0, response.header.revision)  # progress: nothing up to it
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self.settle()

    def _change(self, event: Event) -> Change:
        kv = event.kv
        value = None if event.type == Event.DELETE else kv.value
        return Change(kv.mod_revision, self.renaming(kv.key), value)

    def _canceled(self, response: rpc_pb2.WatchResponse) -> None:
        if not response.compact_revision:
            raise ServerError("CANCELLED", response.cancel_reason or "the source ended the watch")
        log.warning("the source has compacted revision %s; copying everything again", self.revision)
        self.revision = None
