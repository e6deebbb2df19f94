"""POST to a collection."""

from __future__ import annotations

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.update import owner_of
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import check_namespace, create
from apiserver.http.scope import Exchange


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, namespace = exchange.resource, exchange.info.namespace
    if resource.namespaced and not namespace:
        raise errors.generic(405)
    chosen = options.write_options(exchange.query, "CreateOptions")
    obj = await body.read_object(exchange, resource.gvk, chosen.field_validation)
    resource.strategy.default(obj)
    call = Call(
        exchange.services,
        resource,
        exchange.user,
        chosen.dry_run,
        warn=exchange.warn,
        annotate=exchange.annotate,
        options=options.shown(exchange.query),
    )
    if resource.gvk.kind == "Namespace":
        namespace = ""
    check_namespace(obj, namespace)
    obj = owner_of(exchange, call, chosen.field_manager).update(None, obj)
    created = await create(call, namespace, obj)
    assert meta.name(created)
    return await answer.one(exchange, resource.gvk, created, 201)
