"""Drills over the API: `/kuberaft/v1/drills`, for the dashboard and for whoever automates them.

    GET    drills                   what can be run, and what was
    POST   drills                   {"name": "leader-kill", "options": {"seed": 1}}: start one
    GET    drills/ID?since=N        one run, with what it has said from the N-th message on
    DELETE drills/ID                end it; it undoes its faults first
    GET    drills/ID/report.html    its report

The supervisor runs them (`components.cluster.drilling`), since a drill ends masters: this one may be gone in a moment,
and any other answers the next request. A master that no supervisor started answers 503.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from apiserver.api import errors
from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.dashboard.extension import VIEWER_POLICY

if TYPE_CHECKING:
    from apiserver.auth.user import User

PREFIX: Final = "/kuberaft/v1/drills"
_BODY_LIMIT: Final = 64 * 1024
_LIST_SECONDS: Final = 30.0  # the first answer starts an interpreter

Call = Callable[..., Awaitable[Any]]


class Drill(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a start."""

    name: str
    options: dict[str, int] = {}


class Drills:
    """An `apiserver.http.extension.Extension`. `socket` is the supervisor's."""

    prefix = PREFIX
    public = False

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def handle(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """Raises StatusError."""
        rest = request.path.removeprefix(self.prefix).strip("/").split("/")
        match request.method, rest:
            case "GET", [""]:
                return _json(await self._ask("drill-list", timeout=_LIST_SECONDS))
            case "POST", [""]:
                drill = await _drill(request)
                return _json(await self._ask("drill-start", name=drill.name, options=drill.options), 201)
            case "GET", [run]:
                return _json(await self._ask("drill-status", id=run, since=_since(request)))
            case "DELETE", [run]:
                return _json(await self._ask("drill-stop", id=run))
            case "GET", [run, "report.html"]:
                return _report(await self._ask("drill-report", id=run))
            case (("GET" | "POST" | "DELETE"), _):
                raise errors.generic(404)
            case _:
                raise errors.generic(405)

    async def _ask(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
        try:
            return await ipc.call(self._socket, op, timeout=timeout, **arguments)
        except ipc.NotRunning as error:
            raise errors.service_unavailable(f"this master's supervisor does not answer: {error}") from error
        except TimeoutError as error:
            raise errors.generic(504) from error
        except ClusterError as error:
            raise errors.bad_request(str(error)) from error


async def _drill(request: web.BaseRequest) -> Drill:
    if (request.content_length or 0) > _BODY_LIMIT:
        raise errors.generic(413, "a drill's options are at most 64 KiB")
    try:
        return msgspec.json.decode(await request.read(), type=Drill)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise errors.bad_request(f"the body names no drill: {error}") from error


def _since(request: web.BaseRequest) -> int:
    text = request.query.get("since", "0")
    if not text.isdecimal():
        raise errors.bad_request(f"since: {text!r} is no number of messages")
    return int(text)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _report(text: str) -> web.Response:
    headers = {
        "Content-Security-Policy": VIEWER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type="text/html", headers=headers)
