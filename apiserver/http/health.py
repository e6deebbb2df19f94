"""/healthz, /livez, /readyz with their single checks, and /metrics.

As the original's ``server/healthz``: a failure says which check failed to everybody and why only to the log, or to
whoever may ask for the single check. Ready is a server that can reach its store, whose caches are filled and that was
not told to end.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.http import metrics_export, responders
from apiserver.http.scope import Exchange, Services

log = logging.getLogger(__name__)

_CHECK_TIMEOUT: Final = 2.0
Check = Callable[[Services], Awaitable[str]]  # an empty answer is a pass


async def _pass(_: Services) -> str:
    return ""


async def _store(services: Services) -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await services.storage.current_revision()
    except Exception as exc:
        return f"the store does not answer: {exc or type(exc).__name__}"
    return ""


async def _caches(services: Services) -> str:
    missing = services.caches.unfilled()
    return f"{len(missing)} informers not started yet: [{' '.join(missing)}]" if missing else ""


async def _shutdown(services: Services) -> str:
    return "process is shutting down" if services.lifecycle.shutting_down else ""


_ALIVE: Final[dict[str, Check]] = {"ping": _pass, "log": _pass, "etcd": _store}
_CHECKS: Final[dict[str, dict[str, Check]]] = {
    "healthz": _ALIVE,
    "livez": _ALIVE,
    "readyz": {**_ALIVE, "etcd-readiness": _store, "informer-sync": _caches, "shutdown": _shutdown},
}


def paths() -> list[str]:
    """What is served here, every single check included."""
    return [
        path for name, checks in _CHECKS.items() for path in (f"/{name}", *(f"/{name}/{c}" for c in checks))
    ]


async def handle(exchange: Exchange) -> web.StreamResponse | None:
    parts = exchange.info.path.strip("/").split("/")
    if parts == ["metrics"]:
        body, content_type = await metrics_export.render(exchange.services)
        return web.Response(body=body, headers={"Content-Type": content_type})
    checks = _CHECKS.get(parts[0])
    if checks is None:
        return None
    if len(parts) == 2 and parts[1] in checks:
        failure = await checks[parts[1]](exchange.services)
        return (
            responders.text(f"internal server error: {failure}\n", 500) if failure else responders.text("ok")
        )
    if len(parts) > 1:
        return responders.not_found_page()
    return await _all(exchange, parts[0], checks)


async def _all(exchange: Exchange, name: str, checks: dict[str, Check]) -> web.StreamResponse:
    excluded = set(exchange.query.getall("exclude", []))
    lines: list[str] = []
    failures: dict[str, str] = {}
    for check, run in checks.items():
        if check in excluded:
            lines.append(f"[+]{check} excluded: ok")
            continue
        failure = await run(exchange.services)
        if failure:
            failures[check] = failure
        lines.append(f"[-]{check} failed: reason withheld" if failure else f"[+]{check} ok")
    if unknown := sorted(excluded - checks.keys()):
        quoted = ",".join(json.dumps(check) for check in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    if failures:
        for check, failure in failures.items():
            log.info("%s check failed: %s: %s", name, check, failure)
        return responders.text("\n".join([*lines, f"{name} check failed", ""]), 500)
    if "verbose" not in exchange.query:
        return responders.text("ok")
    return responders.text("\n".join([*lines, f"{name} check passed", ""]))
