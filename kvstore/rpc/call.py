"""Who calls: what the services may know of a request besides its message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Protocol

import grpc

from kvstore.auth.types import ANONYMOUS, Credentials
from kvstore.member import Member

TOKEN_KEYS = ("token", "authorization")
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


class GrpcCall:
    """A call that came over gRPC; nothing is looked up that nobody asks for."""

    def __init__(self, context: grpc.aio.ServicerContext[object, object]) -> None:
        self._context = context

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        pairs: Iterable[tuple[str, str | bytes]] = self._context.invocation_metadata() or ()
        return {key: value for key, value in pairs if isinstance(value, str)}

    @property
    def token(self) -> str | None:
        return next((self.metadata[key] for key in TOKEN_KEYS if key in self.metadata), None)

    @property
    def common_name(self) -> str | None:
        names = self._context.auth_context().get("x509_common_name") or ()
        return next((name.decode("utf-8", "replace") for name in names), None)

    @property
    def peer(self) -> str:
        return str(self._context.peer())


async def credentials(member: Member, call: Call) -> Credentials:
    """The caller as the member's users know it. Raises `InvalidAuthToken`.

    As in etcd a token comes before a certificate.
    """
    token = call.token
    if token:
        return await member.identify(token)
    name = call.common_name
    return member.identify_name(name) if name else ANONYMOUS
