"""Records over HTTP: the query, the list, and the stream of new ones with its heartbeat.

Used by the kubelet's server and by ``components.insight``. A reader that is slower than what happens loses the oldest
of what waits for it and is told how many; nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from apiserver.api.journal import ObjectRef, Query, timestamp

HEARTBEAT_SECONDS: Final = 5.0
MOST_WAITING: Final = 2000
MOST_RECORDS: Final = 10_000
PING: Final = b'{"type":"PING"}\n'
Subscribe = Callable[[Callable[[bytes], None]], Callable[[], None]]


def query_of(parameters: Mapping[str, str]) -> Query:
    """Raises ValueError for a time or a limit that is none."""
    ref = ObjectRef(*(parameters.get(name, "") for name in ("resource", "group", "namespace", "name", "uid")))
    return Query(
        ref,
        parameters.get("source", ""),
        parameters.get("component", ""),
        _since(parameters.get("since", "")),
        _limit(parameters.get("limit", "")),
        tuple(_place(text) for text in _all(parameters, "of")),
    )


def _all(parameters: Mapping[str, str], name: str) -> list[str]:
    getall = getattr(parameters, "getall", None)
    found: list[str] = (
        getall(name, []) if getall is not None else [parameters[name]] if name in parameters else []
    )
    return found


def _place(text: str) -> ObjectRef:
    """``resource/namespace/name``; the namespace is empty for what has none."""
    parts = text.split("/")
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise ValueError(f"of: {text!r} is not resource/namespace/name")
    return ObjectRef(parts[0], "", parts[1], parts[2])


def _since(text: str) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"since: {text!r} is no time as RFC 3339 has it") from None
    return timestamp(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))


def _limit(text: str) -> int:
    if not text:
        return Query().limit
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= MOST_RECORDS:
        raise ValueError(f"limit: {text!r} is no number between 1 and {MOST_RECORDS}")
    return int(text)


def render(lines: Sequence[bytes], missing: Sequence[Mapping[str, str]] = ()) -> bytes:
    """A RecordList."""
    absent = msgspec.json.encode(list(missing))
    return b'{"kind":"RecordList","records":[' + b",".join(lines) + b'],"missing":' + absent + b"}"


def framed(line: bytes) -> bytes:
    """A record as a line of the stream."""
    return b'{"type":"RECORD","record":' + line + b"}\n"


async def stream(
    request: web.BaseRequest, subscribe: Subscribe, first: Sequence[bytes] = ()
) -> web.StreamResponse:
    """New records until the client is gone; ``subscribe`` passes them encoded, ``first`` go before them."""
    events = "text/event-stream" in request.headers.get("Accept", "")
    response = web.StreamResponse(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream" if events else "application/json"
    await response.prepare(request)
    waiting = Waiting(framed(line) for line in first)
    end = subscribe(lambda line: waiting.put(framed(line)))
    try:
        while request.transport is not None:
            lines = await waiting.take(HEARTBEAT_SECONDS) or [PING]
            await response.write(b"".join(_event(line) for line in lines) if events else b"".join(lines))
    except ConnectionError:
        pass
    finally:
        end()
    return response


def _event(line: bytes) -> bytes:
    return b"data: " + line + b"\n"


class Waiting:
    """Lines that a reader has not taken yet."""

    def __init__(self, first: Any = ()) -> None:
        self._lines: deque[bytes] = deque(first, maxlen=MOST_WAITING)
        self._lost = 0
        self._more = asyncio.Event()
        if self._lines:
            self._more.set()

    def put(self, line: bytes) -> None:
        if len(self._lines) == MOST_WAITING:
            self._lost += 1
        self._lines.append(line)
        self._more.set()

    async def take(self, seconds: float) -> list[bytes]:
        """What there is; waits so long for something, and then gives nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()
        self._more.clear()
        lines, lost, self._lost = list(self._lines), self._lost, 0
        self._lines.clear()
        return [b'{"type":"LOST","count":%d}\n' % lost, *lines] if lost else lines
