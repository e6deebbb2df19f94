"""Injects the faults that were asked for (`apiserver.faults`); built into the chain only with
``--enable-fault-injection``.

The last filter: all that stands before it is real, so a request is identified, authorized, recorded and counted as any
other, and holds its seat while it is delayed. Every answer that was tampered with says so in a header, and its audit
event in an annotation; where there is no answer, the log and the audit event do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource
from apiserver.faults.matching import Facts
from apiserver.faults.rule import OF_WATCH, Compact, Delay, Drop, Error, Fault, Stale, WatchExpire, describe
from apiserver.faults.store import FaultStore
from apiserver.http.filters.interface import Handler
from apiserver.http.handlers.faulty_watch import FaultyWatcher
from apiserver.http.scope import Exchange, Services, Stopping

log = logging.getLogger(__name__)

HEADER: Final = "X-Kuberaft-Fault"
ANNOTATION: Final = "kuberaft.io/fault"


def with_faults(services: Services, handler: Handler) -> Handler:
    faults = services.faults
    assert faults is not None

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if not exchange.info.is_resource:
            return await handler(exchange)
        due = await faults.due(facts(exchange))
        for fault in due:
            if not _after(fault):
                await _inject(faults, fault, exchange)
        response = await handler(exchange)
        for fault in filter(_after, due):
            await _inject(faults, fault, exchange)
        return response

    return handle


def facts(exchange: Exchange) -> Facts:
    info = exchange.info
    where = (info.group, info.resource, info.subresource, info.namespace, info.name)
    return Facts(exchange.user.name, info.verb, *where)


def _after(fault: Fault) -> bool:
    """Done when the request has been, if it has not failed."""
    return isinstance(fault.spec.action, Error | Drop) and fault.spec.action.after_effect


async def _inject(faults: FaultStore, fault: Fault, exchange: Exchange) -> None:
    """Raises what the client is to see; or leaves word for the handler."""
    action = fault.spec.action
    if isinstance(action, Compact) and not _is_before(exchange, action.revision):
        return
    if not await faults.take(fault):
        return
    _mark(exchange, fault)
    if isinstance(action, Delay):
        await _pause(exchange.services.stopping, action.seconds)
    elif isinstance(action, Drop):
        _cut(exchange, fault)
    elif isinstance(action, Stale):
        newest = 0 if action.revision else await faults.newest()
        exchange.read_at = action.revision or max(1, newest - action.revisions)
    elif isinstance(action, OF_WATCH):
        exchange.watcher = partial(FaultyWatcher, action=action)
    elif isinstance(action, Compact) or (action.code == 410 and exchange.info.is_watch):
        exchange.watcher = partial(FaultyWatcher, action=WatchExpire())  # as the original says it to watches
    else:
        raise error_of(action, exchange, fault.name)


async def _pause(stopping: Stopping, seconds: float) -> None:
    """The end of the server is not held up."""
    if stopping:
        return
    begun = asyncio.Event()
    stopping.tell(begun.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await begun.wait()
    finally:
        stopping.forget(begun.set)


def _mark(exchange: Exchange, fault: Fault) -> None:
    info, text = exchange.info, describe(fault.spec.action)
    log.info("fault %s (%s): %s %s by %s", fault.name, text, info.verb, info.path, exchange.user.name)
    before = exchange.headers.get(HEADER)
    exchange.headers[HEADER] = f"{before}, {fault.name}" if before else fault.name
    told = exchange.annotations.get(ANNOTATION)
    exchange.annotations[ANNOTATION] = f"{told}; {fault.name}: {text}" if told else f"{fault.name}: {text}"


def _cut(exchange: Exchange, fault: Fault) -> None:
    transport = exchange.request.transport
    if transport is not None:
        transport.abort()
    raise ConnectionResetError(f"cut by fault {fault.name}")


def _is_before(exchange: Exchange, revision: int) -> bool:
    """A watch that wants to go on from before the revision."""
    asked = exchange.query.get("resourceVersion") or ""
    return asked.isascii() and asked.isdigit() and 0 < int(asked[:20]) < revision


def error_of(action: Error, exchange: Exchange, name: str) -> StatusError:
    """In the original's form; the text says that it is not real."""
    info, text = exchange.info, f"injected by fault {name}"
    resource = GroupResource(info.group, info.resource)
    if action.code == 409:
        return errors.conflict(resource, info.name, f"{errors.MODIFIED} ({text})")
    if action.code == 410:
        return errors.expired(f"The provided continue parameter or resource version is too old ({text})")
    if action.code == 429:
        return errors.too_many_requests(f"{errors.generic(429).message} ({text})", action.retry_after)
    made = _SERVER_ERRORS[action.code](text)
    if action.retry_after:
        made.details = {**(made.details or {}), "retryAfterSeconds": action.retry_after}
    return made


_SERVER_ERRORS: Final[dict[int, Callable[[str], StatusError]]] = {
    500: errors.internal,
    503: lambda text: errors.service_unavailable(f"{errors.generic(503).message} ({text})"),
    504: errors.timeout,
}
