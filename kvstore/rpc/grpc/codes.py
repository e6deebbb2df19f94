"""(P) gRPC's status codes, and the store's errors as such."""

from __future__ import annotations

import enum
from typing import NamedTuple

from kvstore.errors import StoreError


class Code(enum.IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


GO_NAMES = {int(code): "".join(part.capitalize() for part in code.name.split("_")) for code in Code} | {
    Code.OK: "OK",
    Code.CANCELLED: "Canceled",
}
"""As metrics name them."""


class Status(NamedTuple):
    """How a call ended, if not well."""

    code: int
    message: str


def status_of(error: StoreError) -> Status:
    return Status(Code[error.code], str(error))
