"""(P) Which protocol a new connection speaks, from its first bytes; fed by `front`."""

from __future__ import annotations

from enum import Enum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113, 3.4: what every HTTP/2 client sends first."""
HEADERS_END = b"\r\n\r\n"
MAX_HEAD = 64 << 10


class Protocol(Enum):
    MORE = "more bytes are needed"
    GRPC = "grpc"
    HTTP = "http"


def sniff(head: bytes) -> Protocol:
    """HTTP only when the first request's headers are complete (or too long): a slow client occupies nobody else."""
    if head.startswith(PREFACE):
        return Protocol.GRPC
    if PREFACE.startswith(head):
        return Protocol.MORE
    return Protocol.HTTP if HEADERS_END in head or len(head) >= MAX_HEAD else Protocol.MORE
