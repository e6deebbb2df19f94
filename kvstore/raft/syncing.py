"""Brings the log's batches to disk for `kvstore.raft.engine`, and says that this member lives while that takes long.

Usually in a thread (`disk`); where that is safe and quick on the event loop itself (`pace`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.disk import Disk
from kvstore.raft.messages import ALIVE, Message
from kvstore.raft.pace import Pace
from kvstore.raft.wal import Batch, Wal

MAX_SYNC_TIMEOUTS = 10
"""Election timeouts for which a leader holds its place while its disk hangs."""

_REMEMBERED = 512

Send = Callable[[Iterable[tuple[int, Message]]], None]


class Syncing:
    """One batch at a time."""

    def __init__(self, config: RaftConfig, wal: Wal, send: Send) -> None:
        self._config, self._wal, self._send = config, wal, send
        self._disk = Disk()
        self._pace = Pace(config.member_id)
        self._since: float | None = None
        self._said_alive_at = 0.0
        self.took: deque[float] = deque(maxlen=_REMEMBERED)
        """Seconds that the last batches took to be on disk."""

    @property
    def under_way(self) -> bool:
        return self._since is not None

    async def commit(self, core: Core, batch: Batch) -> None:
        """Returns when it is on disk. Raises `WalError`."""
        node = core.node
        if self._pace.may_stop_the_loop(node.leader_id, node.voting.voters, len(batch.body)):
            self._write(batch)
            return
        self._since = asyncio.get_running_loop().time()
        await self._disk.run(lambda: self._write(batch))
        self._since = None

    def _write(self, batch: Batch) -> None:
        began = time.perf_counter()
        self._wal.commit(batch)
        took = time.perf_counter() - began
        self.took.append(took)
        self._pace.observe(took)

    def outlast(self, core: Core, now: float) -> None:
        """A slow sync must not cost the leadership; one that takes very long should. Called now and then."""
        heartbeat, longest = (
            self._config.heartbeat_interval,
            MAX_SYNC_TIMEOUTS * self._config.election_timeout,
        )
        if self._since is None or now - self._said_alive_at < heartbeat:
            return
        if heartbeat <= now - self._since < longest:
            self._said_alive_at = now
            self._send(core.signs_of_life())

    def answer_for(self, core: Core, peer: int, message: Message) -> None:
        """The answer to an append waits for the disk; this one does not."""
        if self.under_way and message["term"] == core.node.term and peer == core.node.leader_id:
            self._send([(peer, {"type": ALIVE, "term": core.node.term})])

    def stop(self) -> None:
        """Waits for the batch that is under way."""
        self._disk.stop()
