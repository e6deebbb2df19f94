"""Back-off per key (P): 10 s after the first failure, doubling to 5 min, forgotten after 10 min of peace.

As client-go's util/flowcontrol/backoff.go, which the kubelet uses for crashing containers and image
pulls. Times are seconds of any one clock; `event` is when the thing failed (a container's exit).
"""

from __future__ import annotations

INITIAL = 10.0
MAXIMUM = 300.0


class Backoff:
    def __init__(self, initial: float = INITIAL, maximum: float = MAXIMUM) -> None:
        self._initial, self._maximum = initial, maximum
        self._entries: dict[str, tuple[float, float]] = {}  # key -> (delay, last failure noted)

    def delay(self, key: str) -> float:
        return self._entries.get(key, (0.0, 0.0))[0]

    def remaining(self, key: str, event: float, now: float) -> float:
        """Seconds still to wait before trying again after a failure at `event`; 0 if now is fine."""
        entry = self._entries.get(key)
        if entry is None or event - entry[1] > 2 * self._maximum:
            return 0.0
        return max(entry[0] - (now - event), 0.0)

    def next(self, key: str, event: float, now: float) -> None:
        """Note one more failure: the next wait is twice as long, unless the last one was long ago."""
        entry = self._entries.get(key)
        if entry is None or event - entry[1] > 2 * self._maximum:
            self._entries[key] = (self._initial, now)
        else:
            self._entries[key] = (min(entry[0] * 2, self._maximum), now)

    def forget(self, prefix: str) -> None:
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]


def go_duration(seconds: float) -> str:
    """10 -> `10s`, 80 -> `1m20s`, 300 -> `5m0s`: as Go prints the durations in the back-off messages."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
