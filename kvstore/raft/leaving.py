"""How a member that was removed ends: `kvstore.raft.engine` tells what happens, `departure` says when it may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kvstore.errors import RemovedFromCluster
from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.departure import PATIENCE, Departure

log = logging.getLogger(__name__)


class Leaving:
    """`end(error)` is called once it may end."""

    def __init__(self, config: RaftConfig, end: Callable[[Exception], None]) -> None:
        self._config, self._end = config, end
        self._departure = Departure(config.member_id)
        self._timer: asyncio.TimerHandle | None = None

    def dismissed(self, by: int, core: Core) -> None:
        """That member has applied the removal of this one, and says so."""
        if by not in self._departure.dismissed_by:
            log.warning("member %x says that this member was removed", by)
            self._departure.dismissed_by.add(by)
            self.when_known(core)

    def when_known(self, core: Core) -> None:
        """End if enough of the others know of it; they are given some time."""
        if self._departure.may_end(core.node.voting):
            self._leave()
        elif self._timer is None and self._departure.dismissed_by:
            delay = PATIENCE * self._config.election_timeout
            self._timer = asyncio.get_running_loop().call_later(delay, self._leave)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _leave(self) -> None:
        config = self._config
        self._end(
            RemovedFromCluster(
                f"member {config.name} ({config.member_id:x}) was removed from the cluster; to let it in "
                f"again, delete its directory {config.data_dir} and add it as a new member"
            )
        )
