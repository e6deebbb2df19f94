"""Reads of one member: as leader it runs the rounds of `kvstore.raft.reads`, as follower it asks the leader.

Everything here leaves at once, without waiting for the disk: an acknowledgement only says what term a member
is in, which it says again after a crash or has left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from kvstore.errors import StoreError
from kvstore.raft.core import Core
from kvstore.raft.messages import ASK_INDEX, INDEX, READ, READ_ACK, Message
from kvstore.raft.reads import ReadRounds, Round

Send = Callable[[Iterable[tuple[int, Message]]], None]


class ReadIndex:
    """`nonce`: random for each start: an answer to a question of an earlier life must not be taken for one
    of this life's, whose reads may have begun later."""

    def __init__(self, core: Core, send: Send, nonce: int) -> None:
        self._core, self._send = core, send
        self._rounds = ReadRounds()
        self._waiting: list[asyncio.Future[int]] = []
        self._asked: list[asyncio.Future[int]] = []  # of the leader
        self._led: list[asyncio.Future[int]] = []  # given to a round of this leader
        self._ask_number = nonce << 32
        self._sent = (0, 0.0)  # the round that was broadcast last, and when
        self.round_trips: dict[int, float] = {}
        """Of a leader: seconds from a question to a member's answer, the last one."""

    def add(self, future: asyncio.Future[int]) -> bool:
        """True for the first of several: `pump` a little later, so that they share a round."""
        self._waiting.append(future)
        return len(self._waiting) == 1

    def pump(self) -> None:
        """Start what can be started."""
        node = self._core.node
        if node.is_leader:
            if self._waiting:
                futures, self._waiting = self._waiting, []
                self._led = [future for future in self._led if not future.done()] + futures
                self._rounds.add(lambda index: _answer(futures, index))
            if self._rounds.pending and self._core.own_term_committed:
                self._begin()
        elif self._waiting and not self._asked and node.leader_id in node.connected:
            self._asked, self._waiting = self._waiting, []
            self._ask()

    def received(self, peer: int, message: Message) -> None:
        kind, node = message["type"], self._core.node
        if kind == READ:
            if message["term"] == node.term:
                self._send([(peer, {**message, "type": READ_ACK})])
        elif kind == READ_ACK:
            if message["round"] == self._sent[0]:
                self.round_trips[peer] = time.perf_counter() - self._sent[1]
            self._rounds.ack(peer, message["term"], message["round"])
            if node.is_leader:
                self._rounds.finish(node.term, node.voters)
        elif kind == ASK_INDEX:
            number = message["round"]
            if node.is_leader:
                self._rounds.add(
                    lambda index: self._send([(peer, {"type": INDEX, "round": number, "index": index})])
                )
        elif kind == INDEX and message["round"] == self._ask_number:
            asked, self._asked = self._asked, []
            _answer(asked, message["index"])

    def leader_changed(self) -> None:
        self.round_trips.clear()
        self._rounds.reset()
        self._asked += self._led
        self._led = []
        self._again()

    def disconnected(self, peer: int) -> None:
        if peer == self._core.node.leader_id:
            self._again()

    def retry(self) -> None:
        """Now and then: messages may have been lost with a connection, and voters may have become fewer."""
        self._waiting = [future for future in self._waiting if not future.done()]
        round_, node = self._rounds.running(), self._core.node
        if round_ is not None and node.is_leader and not self._rounds.finish(node.term, node.voters):
            self._broadcast(round_)
        self._asked = [future for future in self._asked if not future.done()]
        if self._asked:
            self._send_question()
        self.pump()

    def fail(self, error: type[StoreError]) -> None:
        for future in [*self._waiting, *self._asked, *self._led]:
            if not future.done():
                future.set_exception(error())
        self._waiting, self._asked, self._led = [], [], []

    def _again(self) -> None:
        self._waiting = [future for future in [*self._asked, *self._waiting] if not future.done()]
        self._asked = []
        self._ask_number += 1

    def _ask(self) -> None:
        self._ask_number += 1
        self._send_question()

    def _send_question(self) -> None:
        """Repeated by the same number: whichever answer comes first is right, also one that took long."""
        leader = self._core.node.leader_id
        if leader is not None:
            self._send([(leader, {"type": ASK_INDEX, "round": self._ask_number})])

    def _begin(self) -> None:
        node = self._core.node
        while (round_ := self._rounds.begin(node.term, node.commit_index)) is not None:
            self._broadcast(round_)
            if not self._rounds.finish(node.term, node.voters):
                return

    def _broadcast(self, round_: Round) -> None:
        message = {"type": READ, "term": round_.term, "round": round_.number}
        self._sent = round_.number, time.perf_counter()
        self._send([(peer, message) for peer in sorted(self._core.node.voters)])


def _answer(futures: list[asyncio.Future[int]], index: int) -> None:
    for future in futures:
        if not future.done():
            future.set_result(index)
