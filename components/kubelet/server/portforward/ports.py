"""Ports and request ids of a port-forward (P). Texts as in k8s.io/cri-streaming/pkg/streaming/portforward."""

from __future__ import annotations

from collections.abc import Sequence

V4, V4_BASE64 = "v4.channel.k8s.io", "v4.base64.channel.k8s.io"
PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+" + PROTOCOL
WEBSOCKET_PROTOCOLS = (TUNNEL, V4, V4_BASE64, "")


def parse(text: str, whole: str) -> int:
    """Raises ValueError with the original's words; `whole` is what they quote."""
    if not text.isascii() or not text.isdigit():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ValueError(f'unable to parse "{whole}" as a port: {why}')
    number = int(text)
    if number > 65535:
        why = f'strconv.ParseUint: parsing "{text}": value out of range'
        raise ValueError(f'unable to parse "{whole}" as a port: {why}')
    if number < 1:
        raise ValueError(f'port "{whole}" must be > 0')
    return number


def of_query(values: Sequence[str]) -> list[int]:
    """The ports of a WebSocket request, in the order of their channels."""
    if not values:
        raise ValueError('query parameter "port" is required')
    found = []
    for value in values:
        if not value:
            raise ValueError('query parameter "port" cannot be empty')
        found += [parse(part, value) for part in value.split(",")]
    return found


def of_stream(port: str, kind: str) -> int:
    """The port of a SPDY stream with these headers."""
    if not port:
        raise ValueError('"port" header is required')
    number = parse(port, port)
    if not kind:
        raise ValueError('"streamtype" header is required')
    if kind not in ("error", "data"):
        raise ValueError(f'invalid stream type "{kind}"')
    return number


def request_id(header: str, kind: str, stream: int) -> str:
    """What joins a data stream to its error stream. Clients that name none open the error stream just before."""
    return header or str(stream if kind == "error" else stream - 2)
