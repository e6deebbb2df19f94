"""(P) What a client may do on one connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. A connection that was silent for `ping_interval` (0: never mind) is pinged,
    and closed when it stays so for `ping_timeout`.

    `stream_window`, `connection_window`: what a client may send before it is read. `head`: a request's head, in
    either form (compressed, or the sum of its fields).
    """

    max_streams: int
    stream_window: int
    connection_window: int
    head: int
    ping_interval: float = 0.0
    ping_timeout: float = 0.0
