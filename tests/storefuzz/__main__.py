"""`python -m tests.storefuzz NAME --seconds 60`: see `tests.support.guided`."""

from __future__ import annotations

from tests.support import guided

NAMES = ("peer", "wal", "snapshot", "grpc", "request", "command")

if __name__ == "__main__":
    guided.main("tests.storefuzz", NAMES, ["kvstore", "cbor2", "hpack"])
