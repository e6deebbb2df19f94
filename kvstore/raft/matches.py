"""How far a member's log is, as only the leader knows: asked there by whoever wants to promote a learner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from kvstore.errors import NoLeader, RequestTimeout
from kvstore.raft.messages import ASK_MATCH, MATCH, Message

Send = Callable[[Iterable[tuple[int, Message]]], None]


class Log(Protocol):
    """The part of `kvstore.raft.engine.Engine` that is asked."""

    @property
    def is_leader(self) -> bool: ...
    @property
    def leader_id(self) -> int | None: ...
    @property
    def last_index(self) -> int: ...
    def match_index(self, peer: int) -> int: ...


class Matches:
    def __init__(self, log: Log, send: Send) -> None:
        self._log, self._send = log, send
        self._questions = 0
        self._asked: dict[int, asyncio.Future[tuple[int, int]]] = {}

    async def ask(self, member: int, timeout: float) -> tuple[int, int]:
        """(last index that member is known to hold, last index of the leader). Raises `NoLeader`, `RequestTimeout`."""
        if self._log.is_leader:
            return self._log.match_index(member), self._log.last_index
        leader = self._log.leader_id
        if leader is None:
            raise NoLeader
        self._questions += 1
        number = self._questions
        answer: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._send([(leader, {"type": ASK_MATCH, "round": number, "member": member})])
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            del self._asked[number]

    def received(self, peer: int, message: Message) -> None:
        if message["type"] == ASK_MATCH:
            if self._log.is_leader:
                match = self._log.match_index(message["member"])
                answer = {"round": message["round"], "match": match, "last": self._log.last_index}
                self._send([(peer, {"type": MATCH, **answer})])
            return
        waiting = self._asked.get(message["round"])
        if waiting is not None and not waiting.done():
            waiting.set_result((message["match"], message["last"]))
