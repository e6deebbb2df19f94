"""/healthz, /livez, /readyz with their single checks, and /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.http import responders
from apiserver.http.scope import Exchange, Services

_CHECK_TIMEOUT: Final = 2.0
Check = Callable[[Services], Awaitable[str]]  # an empty answer is a pass


async def _ping(_: Services) -> str:
    return ""


async def _store(services: Services) -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await services.storage.current_revision()
    except Exception as exc:
        return f"the store does not answer: {exc or type(exc).__name__}"
    return ""


async def _shutdown(services: Services) -> str:
    return "process is shutting down" if services.stopping else ""


_CHECKS: Final[dict[str, dict[str, Check]]] = {
    "healthz": {"ping": _ping, "etcd": _store},
    "livez": {"ping": _ping, "etcd": _store},
    "readyz": {"ping": _ping, "etcd": _store, "shutdown": _shutdown},
}


def paths() -> list[str]:
    """What is served here, every single check included."""
    return [
        path for name, checks in _CHECKS.items() for path in (f"/{name}", *(f"/{name}/{c}" for c in checks))
    ]


async def handle(exchange: Exchange) -> web.StreamResponse | None:
    parts = exchange.info.path.strip("/").split("/")
    if parts == ["metrics"]:
        body, content_type = await asyncio.to_thread(exchange.services.metrics.render)
        return web.Response(body=body, headers={"Content-Type": content_type})
    checks = _CHECKS.get(parts[0])
    if checks is None:
        return None
    if len(parts) == 2 and parts[1] in checks:
        failure = await checks[parts[1]](exchange.services)
        return responders.text(f"internal server error: {failure}", 500) if failure else responders.text("ok")
    if len(parts) > 1:
        return responders.not_found_page()
    return await _all(exchange, parts[0], checks)


async def _all(exchange: Exchange, name: str, checks: dict[str, Check]) -> web.StreamResponse:
    excluded = set(exchange.query.getall("exclude", []))
    lines, failed = [], False
    for check, run in checks.items():
        if check in excluded:
            lines.append(f"[+]{check} excluded: ok")
            continue
        failure = await run(exchange.services)
        failed = failed or bool(failure)
        lines.append(f"[-]{check} failed: {failure}" if failure else f"[+]{check} ok")
    if not failed and "verbose" not in exchange.query:
        return responders.text("ok")
    summary = f"{name} check {'failed' if failed else 'passed'}"
    return responders.text("\n".join([*lines, summary, ""]), 500 if failed else 200)
