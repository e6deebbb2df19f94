"""Says in the log where the time of a slow request went, as the original's ``Trace[...]`` lines do."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from apiserver.http.filters.headers import AUDIT_ID
from apiserver.http.filters.interface import Handler, long_running
from apiserver.http.scope import Exchange, Services

log = logging.getLogger(__name__)

SLOW: Final = 0.5  # seconds


def with_trace(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        started = time.perf_counter()
        response = await handler(exchange)
        took = time.perf_counter() - started
        if took >= SLOW and not long_running(exchange.info):
            log.info("%s", tell(exchange, response.status, started, took))
        return response

    return handle


def tell(exchange: Exchange, code: int, started: float, took: float) -> str:
    request = exchange.request
    head = (
        f'Trace[{exchange.headers.get(AUDIT_ID, "")}]: "{request.method}" url:{exchange.info.path},'
        f"user:{exchange.user.name},user-agent:{request.headers.get('User-Agent', '')},code:{code} "
        f"(total time: {_ms(took)}):"
    )
    return "\n".join([head, *lines(exchange.steps, started, took)])


def lines(steps: Sequence[tuple[float, str]], started: float, took: float) -> list[str]:
    """One for each step: when it was done, what it was, how long it took."""
    found, before = [], started
    for at, done in steps:
        found.append(f"  ---{_ms(at - started)} {done} ({_ms(at - before)})")
        before = at
    return [*found, f"  ---{_ms(took)} END ({_ms(started + took - before)})"]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"
