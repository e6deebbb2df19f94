"""How long a failed key waits before it is tried again (P), as client-go's default_rate_limiters.go."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol


class RateLimiter(Protocol):
    """Asked once per retry; `now` is the queue's clock in seconds."""

    def when(self, key: Hashable, now: float) -> float: ...
    def forget(self, key: Hashable) -> None: ...
    def num_requeues(self, key: Hashable) -> int: ...


class ExponentialLimiter:
    """base x 2^failures seconds, at most `cap`; failures are counted per key until forgotten."""

    def __init__(self, base: float = 0.005, cap: float = 1000.0) -> None:
        self._base = base
        self._cap = cap
        self._failures: dict[Hashable, int] = {}

    def when(self, key: Hashable, now: float) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(self._base * 2.0 ** min(failures, 64), self._cap)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)

    def num_requeues(self, key: Hashable) -> int:
        return self._failures.get(key, 0)


class TokenBucket:
    """`burst` tokens at once, then `qps` per second. `now` is seconds on a monotonic clock."""

    def __init__(self, qps: float, burst: int) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._tokens = float(burst)
        self._last: float | None = None

    def reserve(self, now: float) -> float:
        """Take a token, if need be one of the future; the seconds until it exists."""
        self._refill(now)
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else -self._tokens / self._qps

    def try_take(self, now: float) -> bool:
        """Take a token if there is one."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        if self._last is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._last) * self._qps)
        self._last = now


class BucketLimiter:
    """One token bucket over all keys."""

    def __init__(self, qps: float = 10.0, burst: int = 100) -> None:
        self._bucket = TokenBucket(qps, burst)

    def when(self, key: Hashable, now: float) -> float:
        return self._bucket.reserve(now)

    def forget(self, key: Hashable) -> None:
        return

    def num_requeues(self, key: Hashable) -> int:
        return 0


class MaxLimiter:
    """The longest wait of several limiters."""

    def __init__(self, *limiters: RateLimiter) -> None:
        self._limiters = limiters

    def when(self, key: Hashable, now: float) -> float:
        return max(limiter.when(key, now) for limiter in self._limiters)

    def forget(self, key: Hashable) -> None:
        for limiter in self._limiters:
            limiter.forget(key)

    def num_requeues(self, key: Hashable) -> int:
        return max(limiter.num_requeues(key) for limiter in self._limiters)


def default_limiter() -> RateLimiter:
    """What controllers use: 5 ms doubling per key, and 10 retries a second overall."""
    return MaxLimiter(ExponentialLimiter(), BucketLimiter())
