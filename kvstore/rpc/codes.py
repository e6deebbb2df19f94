"""The one place where the store's errors become gRPC's."""

from __future__ import annotations

import grpc

from kvstore.errors import StoreError

CODES = {code.name: code for code in grpc.StatusCode}


def status(error: StoreError) -> tuple[grpc.StatusCode, str]:
    """(code, etcd's message)"""
    return CODES.get(error.code, grpc.StatusCode.UNKNOWN), str(error)
