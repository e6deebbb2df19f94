"""GET /containerLogs/{namespace}/{pod}/{container}: what `kubectl logs` reads, through the API server.

Errors are plain text with the original's words and code: an unknown pod is 404, a container that has not
started 400.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from apiserver.api.meta import format_time, parse_time
from components.kubelet.logs.reader import LogOptions, read
from components.kubelet.runtime.interface import ContainerStatus, Runtime
from components.kubelet.server.lookup import Lookup

Object = dict[str, Any]

_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class LogHandler:
    def __init__(self, lookup: Lookup, runtime: Runtime) -> None:
        self._lookup, self._runtime = lookup, runtime

    async def handle(self, request: web.Request) -> web.StreamResponse:
        pod = self._lookup.pod(request, f'pod "{request.match_info["pod"]}" does not exist')
        status = self._find_container(pod, request.match_info["container"], request.query)
        try:
            options = _options(request.query)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"invalid log options: {error}\n") from error
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the reader has gone
            async for piece in read(Path(status.log_path), options, lambda: self._running(status)):
                await response.write(piece)
            await response.write_eof()
        return response

    def _running(self, status: ContainerStatus) -> bool:
        return any(s.id == status.id and s.state == "RUNNING" for s in self._runtime.list_containers())

    def _find_container(self, pod: Object, name: str, query: Any) -> ContainerStatus:
        meta = pod["metadata"]
        if not self._lookup.has_container(pod, name):
            raise web.HTTPNotFound(text=f'container "{name}" not found in pod "{meta["name"]}"\n')
        mine = self._lookup.runs(pod, name)
        reason = waiting_reason(pod, name)
        if _flag(query, "previous"):
            # A container that waits to be started again is the previous one of the next.
            older = mine if reason else mine[1:]
            mine = [s for s in older if s.state == "EXITED"]
            if not mine:
                text = f'previous terminated container "{name}" in pod "{meta["name"]}" not found\n'
                raise web.HTTPBadRequest(text=text)
        if not mine:
            why = _WAITING.get(reason, reason) or "ContainerCreating"
            text = f'container "{name}" in pod "{meta["name"]}" is waiting to start: {why}\n'
            raise web.HTTPBadRequest(text=text)
        return mine[0]


def waiting_reason(pod: Object, container: str) -> str:
    """Why the container waits, by the pod's status; "" if it does not."""
    status = pod.get("status") or {}
    for entry in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if entry["name"] == container:
            reason: str = ((entry.get("state") or {}).get("waiting") or {}).get("reason", "")
            return reason
    return ""


def _flag(query: Any, name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _number(query: Any, name: str) -> int | None:
    return int(query[name]) if query.get(name) else None


def _options(query: Any) -> LogOptions:
    since = ""
    seconds = _number(query, "sinceSeconds")
    if seconds is not None:
        since = format_time(datetime.fromtimestamp(time.time() - seconds, UTC))
    elif query.get("sinceTime"):
        since = format_time(parse_time(query["sinceTime"]))
    return LogOptions(
        follow=_flag(query, "follow"),
        tail_lines=_number(query, "tailLines"),
        since=since.replace("Z", ".000000000Z") if since else "",
        timestamps=_flag(query, "timestamps"),
        limit_bytes=_number(query, "limitBytes"),
    )
