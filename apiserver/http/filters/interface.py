"""What a filter is, and which requests are long-running. Imports no filter; every filter imports this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.http.request_info import RequestInfo
from apiserver.http.scope import Exchange, Services

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]
Filter = Callable[[Services, Handler], Handler]

READ_VERBS: Final = frozenset({"get", "list", "watch", "head", "options"})
_LONG_SUBRESOURCES: Final = frozenset({"log", "exec", "attach", "portforward", "proxy"})


def long_running(info: RequestInfo) -> bool:
    """No timeout, no seat and no in-flight slot holds for these: they end when client or server ends them."""
    return info.is_watch or (info.is_resource and info.subresource in _LONG_SUBRESOURCES)


def elsewhere(exchange: Exchange) -> bool:
    """Whether another API server serves this; what is left to do here is to pass bytes on."""
    aggregator = exchange.services.aggregator
    return aggregator is not None and aggregator.find(exchange.info) is not None
