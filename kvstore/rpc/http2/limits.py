"""(P) What a client may do on one connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds; the defaults are etcd's, except for `max_streams`.

    `max_message` is of one message that a client sends. A connection that was silent for `ping_interval` (0: never
    mind) is pinged, and closed when it stays so for `ping_timeout`.
    """

    max_message: int
    max_streams: int = 10_000
    ping_interval: float = 7200.0
    ping_timeout: float = 20.0
