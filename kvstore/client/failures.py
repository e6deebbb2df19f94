"""(P) What a gRPC status means: the `StoreError` it stands for, and whether the request may have had an effect.

Fed by `kvstore.client.connections`. A server's own refusals are known by their text, as etcd's clients know them;
everything else by its code. Only what proves that nothing was done may be tried again for a write.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvstore import errors
from kvstore.errors import Compacted, InvalidArgument, RequestTimeout, StoreError, Unavailable

NOT_SENT = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "connections to all backends failing",
)
"""How grpc begins the details of a call that never left this process."""

_CODES: dict[str, type[StoreError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "OUT_OF_RANGE": errors.OutOfRange,
    "NOT_FOUND": errors.NotFound,
    "FAILED_PRECONDITION": errors.FailedPrecondition,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "RESOURCE_EXHAUSTED": errors.ResourceExhausted,
    "UNIMPLEMENTED": errors.Unsupported,
    "DATA_LOSS": errors.DataLoss,
}
_REFUSED_BEFORE_ANYTHING = (errors.NoLeader, errors.Unhealthy)
_TOKEN_IS_OLD = (errors.Unauthenticated, errors.AuthOldRevision, errors.UserEmpty)
_OLD_REVISION_TEXTS = ("auth: revision in header is old", errors.AuthOldRevision.message)


class NotReached(Unavailable):
    """No endpoint took the request: nothing was done."""


def _family(kind: type[StoreError]) -> Iterator[type[StoreError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _family(child)


_BY_TEXT = {kind.message: kind for kind in _family(StoreError) if "message" in vars(kind)}


def failure(code: str, text: str, endpoint: str) -> StoreError:
    """The error for a status other than OK."""
    known = _BY_TEXT.get(text)
    if known is Compacted:
        return Compacted()
    if known is errors.Stopped:
        return RequestTimeout(f"{endpoint}: {text}")  # of a request that was waiting: nobody knows
    if known is not None and known.code == code:
        return known()
    if text in _OLD_REVISION_TEXTS:
        return errors.AuthOldRevision()
    if code == "UNAVAILABLE" and text.startswith(NOT_SENT):
        return NotReached(f"{endpoint}: {text}")
    if code in _CODES:
        return _CODES[code](text)
    if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED") or text == "Stream removed":
        return RequestTimeout(f"{endpoint}: {text or code}")
    error = StoreError(f"{endpoint}: {code}: {text}")
    error.code = code
    return error


def had_no_effect(error: StoreError) -> bool:
    """Whether even a write may be sent again."""
    return isinstance(error, (NotReached, *_REFUSED_BEFORE_ANYTHING))


def wants_new_token(error: StoreError) -> bool:
    """Whether the server may do it for whoever shows the password again."""
    return isinstance(error, _TOKEN_IS_OLD)
