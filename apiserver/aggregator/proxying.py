"""A request for a group version of another server: sent on as it is, with the identity of its user.

What the client itself said of identities (``X-Remote-*``, credentials) never passes. Plain requests, watches and
upgraded connections go the way of the other proxies (``http.proxy``); refusals of this server are plain texts, as the
original's. Source: kube-aggregator ``pkg/apiserver/handler_proxy.go``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web

from apiserver.aggregator.routes import Unresolvable
from apiserver.aggregator.service import ApiService
from apiserver.aggregator.upstream import Upstream
from apiserver.api.errors import StatusError
from apiserver.http import responders
from apiserver.http.proxy import forward, upgrade
from apiserver.http.proxy.target import Target
from apiserver.http.scope import Exchange
from apiserver.streaming import Taken

log = logging.getLogger(__name__)
UNAVAILABLE: Final = "service unavailable"
_DISCOVERY_SECONDS: Final = 5.0
_DISCOVERY_SEGMENTS: Final = 3


async def serve(exchange: Exchange, item: ApiService, upstream: Upstream) -> web.StreamResponse:
    if not item.available:
        return _refusal(UNAVAILABLE)
    try:
        target = await _target(exchange, item, upstream)
    except ValueError as exc:
        return _refusal(str(exc), 500)
    except (Unresolvable, TimeoutError) as exc:  # also while the cache of services is not filled
        log.warning("error resolving %s: %s", item.service, exc)
        return _refusal(UNAVAILABLE)
    try:
        if upgrade.is_upgrade(exchange.request):
            return await upgrade.tunnel(exchange, target)
        return await _forward(exchange, target)
    except StatusError as exc:
        return _refusal(exc.message)
    except ValueError as exc:  # a name that no header can hold
        return _refusal(str(exc))


async def _target(exchange: Exchange, item: ApiService, upstream: Upstream) -> Target:
    assert item.service is not None
    host, port = await upstream.address(item.service)
    url = exchange.request.rel_url
    context, name = await upstream.context(item), item.service.host
    return Target("https", host, port, url.raw_path, url.raw_query_string, context, name, exchange.user)


async def _forward(exchange: Exchange, target: Target) -> web.StreamResponse:
    """Discovery is asked by every client at its start, and must not hold it up."""
    short = len(exchange.info.path.strip("/").split("/")) == _DISCOVERY_SEGMENTS
    begun, told = [], exchange.on_begun

    def begin(code: int) -> None:
        begun.append(code)
        if told is not None:
            told(code)

    exchange.on_begun = begin
    try:
        async with asyncio.timeout(_DISCOVERY_SECONDS if short else None):
            return await forward.forward(exchange, target)
    except TimeoutError:
        if not begun:
            return _refusal("context deadline exceeded")
        if exchange.request.transport is not None:
            exchange.request.transport.abort()  # else half an answer would pass for a whole one
        return Taken(begun[0])


def _refusal(text: str, code: int = 503) -> web.Response:
    return responders.text(text + "\n", code)
