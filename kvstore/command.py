"""The replicated envelope: what a member proposes, the Raft log carries and `kvstore.statemachine` applies.

One command is cbor2 of `[request, format, who]`, the request being a tagged array (`kvstore.types`). Fields are
only ever added at the end and with defaults, so a newer member reads an older log; a request that this
version does not know is an `InvalidCommand`. No clock travels in it: a lease is stamped on each member's own
clock when its entry is applied, and its end is the leader's proposal (`LeaseExpireRequest`), so clocks that
disagree cannot split the state.
"""

from __future__ import annotations

from typing import Literal

import cbor2
import msgspec

from kvstore.auth.types import AuthCommand, AuthenticateRequest, Credentials
from kvstore.errors import InvalidCommand
from kvstore.types import (
    AlarmRequest,
    CompactionRequest,
    DeleteRangeRequest,
    HashCheckRequest,
    HashReportRequest,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    MemberChangeRequest,
    PutRequest,
    TxnRequest,
)

Request = (
    PutRequest
    | DeleteRangeRequest
    | TxnRequest
    | CompactionRequest
    | LeaseGrantRequest
    | LeaseRevokeRequest
    | LeaseKeepAliveRequest
    | LeaseExpireRequest
    | AlarmRequest
    | HashCheckRequest
    | HashReportRequest
    | AuthenticateRequest
    | AuthCommand
    | MemberChangeRequest
)


class Command(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is decided once and done by every member. `who` None: a member itself asks."""

    request: Request
    format: Literal[1] = 1
    who: Credentials | None = None


def encode(command: Command) -> bytes:
    """Bytes for the log."""
    return cbor2.dumps(msgspec.to_builtins(command, builtin_types=(bytes,)))


def decode(data: bytes) -> Command | InvalidCommand:
    """The command, or an error *value* for bytes that are none, since applying must not raise."""
    try:
        return msgspec.convert(cbor2.loads(data), Command)
    except Exception as error:  # cbor2 raises UnicodeError, OverflowError and others, by the content
        return InvalidCommand(f"{InvalidCommand.message}: {error}")
