"""When a failed request is sent again (P); asked by the transport after each attempt.

As client-go's `with_retry.go`: an answer with Retry-After (429, or 5xx of a server that is starting or
stopping) is honoured for every method, because the server promises that nothing was done; a broken
connection only for reads, because nobody knows whether a write happened.
"""

from __future__ import annotations

MAX_RETRY_AFTER = 10  # attempts, client-go's default
MAX_RECONNECTS = 5
_FIRST_PAUSE = 0.05  # seconds, doubled for each reconnect: about 1.5 s altogether, a leader change
_LONGEST_WAIT = 30.0  # a server that asks for more has the error passed on instead


def after_answer(code: int, retry_after: str | None, attempt: int) -> float | None:
    """Seconds to wait before attempt + 1 after an answer `code`; None: give the answer to the caller."""
    if attempt >= MAX_RETRY_AFTER or not (code == 429 or code >= 500) or not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:  # an HTTP date: no Kubernetes server sends one
        return None
    return seconds if 0 <= seconds <= _LONGEST_WAIT else None


def after_broken_connection(method: str, attempt: int) -> float | None:
    """Seconds to wait before attempt + 1 when the connection was refused or broke; None: it is an error."""
    if method != "GET" or attempt >= MAX_RECONNECTS:
        return None
    return _FIRST_PAUSE * float(2**attempt)
