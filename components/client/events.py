"""Recording Events about objects without ever blocking or failing the component that does so.

`EventRecorder.event` builds the Event, `eventcorrelator` folds repetitions, and a background task
writes; a full queue or a server that is away loses events, with a log line, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object, format_time
from components.client.errors import ApiError
from components.client.eventcorrelator import Decision, EventCorrelator
from components.client.resources import EVENTS
from components.client.transport import STRATEGIC_PATCH

logger = logging.getLogger(__name__)

_QUEUE_LENGTH = 1000
_MAX_ATTEMPTS = 12
_RETRY_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_MAX_MESSAGE = 1024


class EventClient(Protocol):
    """What of `ApiClient` a recorder needs."""

    async def create(
        self,
        gvr: GroupVersionResource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object: ...

    async def patch(
        self,
        gvr: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        content_type: str = ...,
    ) -> Object: ...


class EventRecorder:
    """Starts its writer with the first event; `close` gives it a moment to finish, then stops it."""

    def __init__(
        self,
        client: EventClient,
        component: str,
        host: str = "",
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._now = now or (lambda: datetime.now(UTC))
        self._correlator = EventCorrelator()
        self._queue: asyncio.Queue[Object] = asyncio.Queue(_QUEUE_LENGTH)
        self._writer: asyncio.Task[None] | None = None

    def event(
        self,
        obj: Mapping[str, Any],
        type: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
    ) -> None:
        """Record that `reason` happened to `obj`; `type` is Normal or Warning. Returns at once."""
        try:
            self._queue.put_nowait(self._new_event(obj, type, reason, message, field_path))
        except asyncio.QueueFull:
            logger.warning("event %s dropped: %d are waiting to be written", reason, _QUEUE_LENGTH)
            return
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="event recorder")

    async def close(self) -> None:
        if self._writer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._queue.join()
        except TimeoutError:
            logger.info("events left unwritten: %d", self._queue.qsize())
        self._writer.cancel()
        await asyncio.wait({self._writer})
        self._writer = None

    def _new_event(
        self, obj: Mapping[str, Any], type: str, reason: str, message: str, field_path: str
    ) -> Object:
        now = self._now()
        reference = reference_to(obj)
        if field_path:
            reference["fieldPath"] = field_path
        source = {"component": self._component, **({"host": self._host} if self._host else {})}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{reference['name']}.{int(now.timestamp() * 1e9):x}",
                "namespace": reference.get("namespace") or "default",
            },
            "involvedObject": reference,
            "reason": reason,
            "message": message[:_MAX_MESSAGE],
            "source": source,
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "count": 1,
            "type": type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    async def _write(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                decision = self._correlator.correlate(event, asyncio.get_running_loop().time())
                if decision is not None:
                    await self._deliver(decision)
            except Exception:
                logger.exception("an event could not be written: %s", event.get("reason"))
            finally:
                self._queue.task_done()

    async def _deliver(self, decision: Decision) -> None:
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                await self._send(decision)
            except ApiError as error:
                if error.code and not (error.is_too_many_requests or error.code >= 500):
                    # For example: the namespace is being deleted. Trying again would not help.
                    logger.info("event %s was refused: %s", decision.event["reason"], error)
                    self._correlator.forget(decision.key)
                    return
                logger.info("event not written, attempt %d: %s", attempt, error)
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _send(self, decision: Decision) -> None:
        event = decision.event
        if decision.patch is not None:
            try:
                await self._client.patch(
                    EVENTS,
                    event["metadata"]["name"],
                    decision.patch,
                    event["metadata"]["namespace"],
                    content_type=STRATEGIC_PATCH,
                )
                return
            except ApiError as error:
                if not error.is_not_found:
                    raise
        try:
            self._correlator.written(decision.key, await self._client.create(EVENTS, event))
        except ApiError as error:
            # Our own create, sent before the connection broke, may have been carried out.
            if not error.is_already_exists:
                raise


def reference_to(obj: Mapping[str, Any]) -> Object:
    """An ObjectReference to `obj`, as events and endpoints carry it."""
    metadata = obj.get("metadata") or {}
    reference = {
        "kind": obj.get("kind"),
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "apiVersion": obj.get("apiVersion"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {key: value for key, value in reference.items() if value}
