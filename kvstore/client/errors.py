"""gRPC statuses as the store's errors: by etcd's message where it has one, else by code."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from kvstore import errors
from kvstore.errors import NoLeader, RequestTimeout, StoreError, Unavailable


class Unreachable(Unavailable):
    """(ours) nothing was sent: the endpoint could not be connected to."""


def _all(base: type[StoreError]) -> Iterator[type[StoreError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _all(kind)


_BY_MESSAGE = {
    kind.message: kind
    for kind in _all(StoreError)
    if kind.__module__ == errors.__name__ and "message" in vars(kind)
}
_NOT_SENT = ("failed to connect", "connection refused", "no such file")


def translated(error: grpc.aio.AioRpcError) -> StoreError:
    """A lost connection and a deadline that has passed are `RequestTimeout`: the outcome is unknown."""
    text = error.details() or ""
    kind = _BY_MESSAGE.get(text)
    if kind is not None:
        return kind()
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        if any(words in text.lower() for words in _NOT_SENT):
            return Unreachable(text)
        return NoLeader(text) if "no leader" in text else RequestTimeout(text)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RequestTimeout()
    found = StoreError(text or code.name)
    found.code = code.name
    return found
