"""Who calls: what the services may know of a request besides its message."""

from __future__ import annotations

from collections.abc import Mapping
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


async def credentials(member: Member, call: Call) -> Credentials:
    """The caller as the member's users know it. Raises `InvalidAuthToken`.

    As in etcd a token comes before a certificate.
    """
    token = call.token
    if token:
        return await member.identify(token)
    name = call.common_name
    return member.identify_name(name) if name else ANONYMOUS
