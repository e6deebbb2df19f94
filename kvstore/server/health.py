"""/health, /livez and /readyz with etcd's bodies (`etcdhttp/health.go`), on a `Member`.

/health is one verdict in JSON: no alarm, a leader, a read that works. /livez and /readyz run named checks, each
also under a path of its own, and say "ok", or which failed and why.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from kvstore.errors import StoreError
from kvstore.types import AlarmType, RangeRequest

if TYPE_CHECKING:
    from kvstore.member import Member

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]
Record = Callable[[str, str, bool], None]


class Unhealthy(Exception):
    """A check failed; the text says why."""


class Health:
    """`record(type, name, ok)` is told every check's outcome, for /metrics; type "" is /health."""

    def __init__(self, member: Member, record: Record) -> None:
        self._member = member
        self._record = record
        self.checks: dict[str, dict[str, Check]] = {
            "livez": {"serializable_read": self._serializable},
            "readyz": {
                "non_learner": self._non_learner,
                "data_corruption": self._no_corruption,
                "serializable_read": self._serializable,
                "linearizable_read": self._linearizable,
            },
        }

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/health", only_get(self._health))
        for kind, checks in self.checks.items():
            router.add_route("*", f"/{kind}", only_get(self._handler(kind, checks)))
            for name, check in checks.items():
                router.add_route("*", f"/{kind}/{name}", only_get(self._handler(kind, {name: check})))

    async def _health(self, request: web.Request) -> web.Response:
        serializable = request.query.get("serializable") == "true"
        reason = await self._verdict(set(request.query.getall("exclude", [])), serializable=serializable)
        self._record("", "", not reason)
        body = json.dumps({"health": "false" if reason else "true", "reason": reason}, separators=(",", ":"))
        if not reason:
            return text(body)
        log.warning("serving /health false: %s", reason)
        return http_error(body, 503)

    async def _verdict(self, excluded: set[str], *, serializable: bool) -> str:
        """Why this member is not healthy; empty if it is."""
        try:
            for alarm in await self._alarms():
                if alarm.name not in excluded:
                    return f"ALARM {alarm.name}"
            if not serializable and self._member.leader_id is None:
                return "RAFT NO LEADER"
            await self._read(serializable=serializable)
        except (StoreError, Unhealthy) as error:
            return f"RANGE ERROR:{error}"
        return ""

    def _handler(
        self, kind: str, checks: dict[str, Check]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            excluded = set(request.query.getall("exclude", []))
            wanted = {name: check for name, check in checks.items() if name not in excluded}
            failures = await asyncio.gather(*(self._run(kind, *item) for item in wanted.items()))
            lines = "".join(_line(name, why) for name, why in zip(wanted, failures, strict=True))
            if any(failures):
                log.error("health check failed: /%s: %s", kind, lines.strip().replace("\n", "; "))
                return http_error(lines, 503)
            return text((lines if "verbose" in request.query else "") + "ok\n", nosniff=True)

        return handle

    async def _run(self, kind: str, name: str, check: Check) -> str:
        try:
            await check()
        except (StoreError, Unhealthy) as error:
            self._record(kind, name, False)
            return str(error) or type(error).__name__
        self._record(kind, name, True)
        return ""

    async def _non_learner(self) -> None:
        if (await self._member.status()).is_learner:
            raise Unhealthy("not supported for learner")

    async def _no_corruption(self) -> None:
        if AlarmType.CORRUPT in await self._alarms():
            raise Unhealthy("alarm activated: CORRUPT")

    async def _serializable(self) -> None:
        await self._read(serializable=True)

    async def _linearizable(self) -> None:
        await self._read(serializable=False)

    async def _read(self, *, serializable: bool) -> None:
        await self._member.range(RangeRequest(b"\0", limit=1, keys_only=True, serializable=serializable))

    async def _alarms(self) -> list[AlarmType]:
        """As applied here: health is also asked when there is no leader."""
        return [alarm.alarm for alarm in self._member.alarms().alarms]


def _line(name: str, why: str) -> str:
    return f"[-]{name} failed: {why}\n" if why else f"[+]{name} ok\n"


def text(body: str, *, status: int = 200, nosniff: bool = False) -> web.Response:
    headers = {"X-Content-Type-Options": "nosniff"} if nosniff else {}
    return web.Response(text=body, status=status, headers=headers)


def http_error(body: str, status: int, **headers: str) -> web.Response:
    """As Go's `http.Error`: plain text, one newline at the end."""
    response = text(body + "\n", status=status, nosniff=True)
    response.headers.update(headers)
    return response


def only_get(
    handle: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def wrapped(request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return http_error("Method Not Allowed", 405, Allow="GET")
        return await handle(request)

    return wrapped
