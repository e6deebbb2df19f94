"""What can be asked of a running engine (`kvstore.raft.engine`): who leads, how far the log is, who is there."""

from __future__ import annotations

from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.interface import StateMachine
from kvstore.raft.journal import WalJournal


class EngineView:
    """Before the engine runs there is no core: then nobody leads, and the applied state alone is known."""

    def __init__(self, config: RaftConfig, machine: StateMachine, journal: WalJournal) -> None:
        self.config, self.machine, self.journal = config, machine, journal
        self._core: Core | None = None

    @property
    def leader_id(self) -> int | None:
        return self._core.node.leader_id if self._core is not None else None

    @property
    def is_leader(self) -> bool:
        return self._core is not None and self._core.node.is_leader

    @property
    def term(self) -> int:
        return self._core.node.term if self._core is not None else 0

    @property
    def commit_index(self) -> int:
        return self._core.node.commit_index if self._core is not None else 0

    @property
    def applied_index(self) -> int:
        return self._core.node.applied_index if self._core is not None else self.machine.applied()[0]

    @property
    def last_index(self) -> int:
        return self.journal.last.index

    @property
    def members(self) -> tuple[int, ...]:
        others = self._core.node.others if self._core is not None else set(self.config.other_ids)
        return tuple(sorted({*others, self.config.member_id}))

    def connected(self) -> set[int]:
        """Other members that this one has a connection to."""
        return self._core.node.connected if self._core is not None else set()

    def match_index(self, peer: int) -> int:
        """What a leader knows another member to hold; 0 for others."""
        return self._core.node.match_index(peer) if self._core is not None and self.is_leader else 0
