"""Simple tokens: what a client shows after it has logged in, known to every member, kept in memory only.

`kvstore.statemachine` assigns them when an `AuthenticateRequest` is applied, so a token works on all members;
how long it lives is measured by each member's own clock and every use renews it. A member that has not yet
applied the entry a token comes from waits for it (`index_of`). A restart forgets them: clients log in again,
as with etcd. Source: etcd `server/auth/simple_token.go`.
"""

from __future__ import annotations

TTL = 300.0
"""Seconds without use, as etcd's default of --auth-token-ttl."""

_SWEEP_SECONDS = 1.0


class Tokens:
    """token -> user. `now` is any monotonic clock in seconds, always the same one."""

    def __init__(self, ttl: float = TTL) -> None:
        self._ttl = ttl
        self._users: dict[str, str] = {}
        self._deadlines: dict[str, float] = {}
        self._swept_at = 0.0

    def __len__(self) -> int:
        return len(self._users)

    def assign(self, token: str, user: str, now: float) -> None:
        self._sweep(now)
        self._users[token] = user
        self._deadlines[token] = now + self._ttl

    def user(self, token: str, now: float) -> str | None:
        """Whose token it is; None if nobody's. Renews it."""
        if self._deadlines.get(token, now) <= now:
            self._drop(token)
            return None
        self._deadlines[token] = now + self._ttl
        return self._users[token]

    def drop_user(self, user: str) -> None:
        for token in [token for token, owner in self._users.items() if owner == user]:
            self._drop(token)

    def clear(self) -> None:
        self._users.clear()
        self._deadlines.clear()

    def _drop(self, token: str) -> None:
        self._users.pop(token, None)
        self._deadlines.pop(token, None)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        for token in [token for token, deadline in self._deadlines.items() if deadline <= now]:
            self._drop(token)


def token_of(secret: str, index: int) -> str:
    return f"{secret}.{index}"


def index_of(token: str) -> int | None:
    """The Raft index that the token comes from; None if it is no token."""
    _, dot, index = token.partition(".")
    return int(index) if dot and index.isascii() and index.isdigit() and len(index) < 20 else None
