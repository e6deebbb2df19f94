"""What a status means for whoever asked."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from kvstore import errors
from kvstore.client.errors import Unreachable, translated


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("UNAVAILABLE", "etcdserver: no leader", errors.NoLeader),
        ("UNAVAILABLE", "etcdserver: leader changed", errors.LeaderChanged),
        ("UNAVAILABLE", "etcdserver: request timed out", errors.RequestTimeout),
        (
            "UNAVAILABLE",
            "etcdserver: request timed out, possibly due to previous leader failure",
            errors.RequestTimeout,
        ),
        ("UNAVAILABLE", "failed to connect to all addresses; last error: ...", Unreachable),
        ("UNAVAILABLE", "Socket closed", errors.RequestTimeout),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", errors.RequestTimeout),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", errors.Compacted),
        ("INVALID_ARGUMENT", "etcdserver: key is not provided", errors.EmptyKey),
        ("UNAUTHENTICATED", "etcdserver: invalid auth token", errors.InvalidAuthToken),
    ],
)
def test_statuses_become_the_stores_errors(code: str, text: str, kind: type[errors.StoreError]) -> None:
    empty = grpc.aio.Metadata()
    error = translated(grpc.aio.AioRpcError(grpc.StatusCode[code], empty, empty, details=text))
    assert type(error) is kind
    assert error.code == code or code == "DEADLINE_EXCEEDED"


def test_what_is_not_known_keeps_its_code_and_text() -> None:
    empty = grpc.aio.Metadata()
    error = translated(
        grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, empty, empty, details="too much")
    )
    assert (error.code, str(error)) == ("RESOURCE_EXHAUSTED", "too much")
