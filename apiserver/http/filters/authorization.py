"""May this user do this? Asked of ``apiserver.auth.authorizer``; words the refusal as the original does."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource
from apiserver.auth.rbac import Attributes
from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services

_DECISION: Final = "authorization.k8s.io/decision"
_REASON: Final = "authorization.k8s.io/reason"
_ALWAYS_PUBLIC: Final = frozenset({"/healthz", "/livez", "/readyz"})


def with_authorization(services: Services, handler: Handler) -> Handler:
    metrics = services.metrics

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if exchange.info.path.rstrip("/") in _ALWAYS_PUBLIC:
            return await handler(exchange)
        asked = attributes(exchange)
        started = time.perf_counter()
        allowed, reason = await services.authorizer.decide(asked)
        result = "allowed" if allowed else "denied"
        metrics.authorizations[result] += 1
        metrics.authorization_seconds.of((result,)).observe(time.perf_counter() - started)
        exchange.annotations[_DECISION] = "allow" if allowed else "forbid"
        exchange.annotations[_REASON] = reason
        exchange.step("authorized")
        if not allowed:
            raise refuse(asked)
        return await handler(exchange)

    return handle


def attributes(exchange: Exchange) -> Attributes:
    info = exchange.info
    if not info.is_resource:
        return Attributes(exchange.user, info.verb, path=info.path)
    return Attributes(
        exchange.user, info.verb, info.group, info.resource, info.subresource, info.namespace, info.name
    )


def refuse(asked: Attributes) -> StatusError:
    reason = f'User "{asked.user.name}" {asked.describe()}'
    if asked.path:
        failure = errors.forbidden(GroupResource("", ""), "", reason)
        failure.details = {}
        return failure
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    failure = errors.forbidden(GroupResource(asked.group, resource), asked.name, reason)
    failure.details = {
        key: value
        for key, value in (("name", asked.name), ("group", asked.group), ("kind", asked.resource))
        if value
    }
    return failure
