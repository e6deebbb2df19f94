"""Changes of the members, as clients ask for them.

The part of `kvstore.member.Member` for it. A change goes through the log like a write and is in force on each
member when that one has applied it; before it is proposed, what would cost the cluster its majority is refused.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from typing import Protocol

from kvstore.command import Command, encode
from kvstore.errors import LearnerNotReady, StoreError
from kvstore.membership import checked_urls, may_add, may_remove
from kvstore.statemachine import KVStateMachine
from kvstore.types import (
    MemberAddRequest,
    MemberChange,
    MemberChangeRequest,
    MemberInfo,
    MemberPromoteRequest,
    MemberPublishRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
)

READY = 0.9
"""A learner that holds this share of the leader's log may become a voter."""


class Raft(Protocol):
    """The part of `kvstore.raft.engine.Engine` that changes need."""

    async def propose(self, command: bytes, timeout: float, *, change: bool = False) -> object: ...

    async def replication(self, member: int, timeout: float) -> tuple[int, int]: ...

    def connected(self) -> set[int]: ...


class Reconfiguration:
    """Mixed into `Member`. Every method raises the store's errors; `LeaderChanged`, `RequestTimeout`: outcome
    unknown."""

    _rng: random.Random

    @property
    def id(self) -> int:
        raise NotImplementedError

    def _raft(self) -> Raft:
        raise NotImplementedError

    def _state(self) -> KVStateMachine:
        raise NotImplementedError

    async def read_index(self) -> int:
        raise NotImplementedError

    def _patience(self) -> float:
        raise NotImplementedError

    async def member_add(self, peer_urls: Iterable[str], is_learner: bool = False) -> MemberChange:
        """The new member starts with an empty data directory and `initial_cluster_state` existing."""
        urls = checked_urls(peer_urls)
        await self.read_index()
        if not is_learner:
            may_add(self._members(), self._reachable())
        return await self._change(MemberAddRequest(self._rng.getrandbits(64) or 1, urls, is_learner))

    async def member_remove(self, id_: int) -> MemberChange:
        await self.read_index()
        may_remove(self._members(), id_, self._reachable())
        return await self._change(MemberRemoveRequest(id_))

    async def member_update(self, id_: int, peer_urls: Iterable[str]) -> MemberChange:
        return await self._change(MemberUpdateRequest(id_, checked_urls(peer_urls)))

    async def member_promote(self, id_: int) -> MemberChange:
        """From learner to voter. Raises `LearnerNotReady` while it lags."""
        await self.read_index()
        member = self._state().members.get(id_)
        if member is not None and member.is_learner:
            match, last = await self._raft().replication(id_, self._patience())
            if match < READY * last:
                raise LearnerNotReady
        return await self._change(MemberPromoteRequest(id_))

    async def publish(self, name: str, client_urls: tuple[str, ...]) -> None:
        """Let the others know this member's name and where its clients reach it."""
        mine = self._state().members.get(self.id)
        if mine is None or (mine.name, mine.client_urls) != (name, client_urls):
            await self._change(MemberPublishRequest(self.id, name, client_urls))

    def _members(self) -> tuple[MemberInfo, ...]:
        return self._state().members.all()

    def _reachable(self) -> Collection[int]:
        return self._raft().connected() | {self.id}

    async def _change(self, request: MemberChangeRequest) -> MemberChange:
        command = encode(Command(request))
        result = await self._raft().propose(command, self._patience(), change=True)
        if isinstance(result, StoreError):
            raise result
        assert isinstance(result, MemberChange), result
        return result
