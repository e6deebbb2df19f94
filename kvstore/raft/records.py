"""Bytes of the write-ahead log (P): frames, records and the scan that reads them back.

    segment = header frame, then one frame for each batch that was synced as a whole
    frame   = magic, length and CRC-32 of the body, CRC-32 of this head | body
    body    = records: type (1 byte), length (4 bytes), payload

The batch is the unit of the CRC because it is the unit of the sync: a frame that has another one behind it
was on disk before that one was begun, so damage to it can never be a torn write. Only the last frame of the
last segment may be torn: it is cut short by the end of the file, or a whole sector of it was never written.
Anything else is corruption, and cutting it off would drop acknowledged writes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = 0x4B57414C  # "KWAL"
HEAD = struct.Struct("<IIII")
RECORD = struct.Struct("<BI")
ENTRY = struct.Struct("<QQ")
STATE = struct.Struct("<QQ")
SECTOR = 512

HEADER = 0  # payload: cbor2 of the segment's identity
ENTRY_RECORD = 1  # index, term, command; replaces every entry from that index on
STATE_RECORD = 2  # current term, member voted for in it (0: none)
BASE_RECORD = 3  # index, term: forget every entry, the log begins behind this one


class Damage(NamedTuple):
    offset: int
    torn: bool
    what: str


def record(kind: int, payload: bytes) -> bytes:
    return RECORD.pack(kind, len(payload)) + payload


def entry_record(index: int, term: int, command: bytes) -> bytes:
    return RECORD.pack(ENTRY_RECORD, ENTRY.size + len(command)) + ENTRY.pack(index, term) + command


def state_record(term: int, vote: int) -> bytes:
    return record(STATE_RECORD, STATE.pack(term, vote))


def base_record(index: int, term: int) -> bytes:
    return record(BASE_RECORD, ENTRY.pack(index, term))


def frame(body: bytes) -> bytes:
    head = struct.pack("<III", MAGIC, len(body), zlib.crc32(body))
    return head + struct.pack("<I", zlib.crc32(head)) + body


def records(body: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each record. Raises ValueError for a body that does not add up."""
    at = 0
    while at < len(body):
        if at + RECORD.size > len(body):
            raise ValueError("a record is cut short")
        kind, length = RECORD.unpack_from(body, at)
        at += RECORD.size
        if at + length > len(body):
            raise ValueError("a record is longer than its frame")
        yield kind, body[at : at + length]
        at += length


def scan(data: bytes) -> tuple[list[bytes], int, Damage | None]:
    """(bodies of all sound frames, offset behind the last of them, what is wrong there)."""
    bodies: list[bytes] = []
    at = 0
    while at < len(data):
        body, end = _frame_at(data, at)
        if body is None:
            return bodies, at, _judge(data, at, end)
        bodies.append(body)
        at = end
    return bodies, at, None


def _frame_at(data: bytes, at: int) -> tuple[bytes | None, int]:
    """(body or None, where the frame ends as far as its head can be believed)."""
    if at + HEAD.size > len(data):
        return None, len(data)
    magic, length, crc, head_crc = HEAD.unpack_from(data, at)
    if magic != MAGIC or zlib.crc32(data[at : at + 12]) != head_crc:
        return None, len(data)
    end = at + HEAD.size + length
    body = data[at + HEAD.size : end]
    return (body if end <= len(data) and zlib.crc32(body) == crc else None), end


def _judge(data: bytes, at: int, end: int) -> Damage:
    if at + HEAD.size > len(data) or end > len(data):
        return Damage(at, True, "an unfinished frame")
    if end == len(data) and _has_empty_sector(data, at, end):
        return Damage(at, True, "a frame whose sectors were not all written")
    return Damage(at, False, "a frame with a wrong checksum")


def _has_empty_sector(data: bytes, start: int, end: int) -> bool:
    """Whether a sector (or the frame's part of one) holds nothing but zeros."""
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if not any(data[start:stop]):
            return True
        start = stop
    return False
