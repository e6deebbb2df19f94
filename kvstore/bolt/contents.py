"""What a snapshot file holds, without loading it: the live keys, to compare with a running cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from kvstore.bolt.reader import BoltFile
from kvstore.rpc.proto.kv_pb2 import KeyValue


class Contents(NamedTuple):
    """`keys`: every live key with a digest of its value; `members`: ids of the cluster's members."""

    revision: int
    keys: dict[bytes, bytes]
    members: frozenset[int]


def digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def contents(source: BoltFile) -> Contents:
    buckets = source.buckets()
    found: dict[bytes, bytes] = {}
    revision = 1
    for name, value in buckets.get(b"key", ()):
        revision = int.from_bytes(name[:8], "big")
        try:
            kv = KeyValue.FromString(value)
        except DecodeError:
            source.refuse(f"the record of revision {name.hex()} cannot be read")
        if name.endswith(b"t") and len(name) == 18:
            found.pop(kv.key, None)
        elif value:
            found[kv.key] = digest(kv.value)
    return Contents(revision, found, frozenset(_members(source, buckets.get(b"members", ()))))


def _members(source: BoltFile, bucket: Iterable[tuple[bytes, bytes]]) -> list[int]:
    try:
        return [int(key, 16) for key, _ in bucket]
    except ValueError:
        source.refuse("the members cannot be read")
