"""Who calls: what the services may know of a request besides its message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from kvstore.auth.types import ANONYMOUS, Credentials
from kvstore.member import Member

HAS_LEADER = "hasleader"
"""Metadata of a caller that would rather get an error than wait on a member without a leader (etcd's clients
send it with watches and keepalives when told to)."""


class Call(Protocol):
    """`metadata` has lower-case keys; `common_name` is the client certificate's; `peer` is for messages."""

    @property
    def token(self) -> str | None: ...
    @property
    def common_name(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def peer(self) -> str: ...


def pusher(call: Call) -> Callable[[list[bytes]], bool] | None:
    """How to send encoded messages of a stream at once, where the caller's connection offers that. It answers whether
    it did: not while something waits to be sent before them."""
    push: Callable[[list[bytes]], bool] | None = getattr(call, "push", None)
    return push


def wants_leader(call: Call) -> bool:
    return call.metadata.get(HAS_LEADER) == "true"


async def credentials(member: Member, call: Call, *, learner: bool = False) -> Credentials:
    """The caller as the member's users know it. Raises `InvalidAuthToken`; `NotSupportedForLearner` on a learner,
    unless `learner` says that one may answer; `NoLeader` to those who want to be told.

    As in etcd a token comes before a certificate.
    """
    if not learner:
        member.require_voter()
    if HAS_LEADER in call.metadata and wants_leader(call):
        member.require_leader()
    token = call.token
    if token:
        return await member.identify(token)
    name = call.common_name
    return member.identify_name(name) if name else ANONYMOUS


async def leader_lost(member: Member) -> None:
    """Returns when the member has been without a leader for three election timeouts."""
    missing = 0
    while missing < 3:
        await asyncio.sleep(member.config.election_timeout)
        missing = missing + 1 if member.leader_id is None else 0
