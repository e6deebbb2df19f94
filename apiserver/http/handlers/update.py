"""PUT of an object or of its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from apiserver.api import codec, errors, meta
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.rest.call import Call
from apiserver.http.rest.ownership import Ownership, manager_name
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.registry.subresources import strategy_for

if TYPE_CHECKING:
    from apiserver.registry.table import Resource


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    chosen = options.write_options(exchange.query, "UpdateOptions")
    obj = await body.read_object(exchange, resource.gvk, chosen.field_validation)
    check_name(obj, info.name)
    resource.strategy.default(obj)

    call = call_of(exchange, chosen.dry_run)
    owner = owner_of(exchange, call, chosen.field_manager)
    given = codec.dumps(obj)  # strategies and admission change what they are given, and a race may be lost

    async def transform(old: Object | None) -> Object:
        return owner.update(old, codec.decode(given))

    may_create = resource.strategy.allow_create_on_update and not info.subresource
    change = Update(transform, strategy_of(resource, info.subresource), put=True, may_create=may_create)
    stored, created = await update(call, namespace_of(resource, info.namespace), info.name, change)
    return await answer.one(exchange, resource.gvk, stored, 201 if created else 200)


def call_of(exchange: Exchange, dry_run: bool) -> Call:
    """Of the object that the request names, or of a part of it."""
    return Call(
        exchange.services,
        exchange.resource,
        exchange.user,
        dry_run,
        exchange.info.subresource,
        exchange.warn,
        exchange.annotate,
        options=options.shown(exchange.query),
    )


def owner_of(exchange: Exchange, call: Call, asked: str) -> Ownership:
    """``asked`` is the ``fieldManager`` of the request."""
    return Ownership.of(call, manager_name(asked, exchange.request.headers.get("User-Agent")))


def strategy_of(resource: Resource, subresource: str) -> Any:
    """Raises 404 for a subresource the kind does not have."""
    if not subresource:
        return resource.strategy
    strategy = strategy_for(resource.strategy, subresource)
    if strategy is None:
        raise errors.generic(404)
    return strategy


def namespace_of(resource: Resource, namespace: str) -> str:
    """Namespaces are addressed inside themselves; they are stored in none."""
    return namespace if resource.namespaced else ""


def check_name(obj: Object, name: str) -> None:
    given = meta.name(obj)
    if not given:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise errors.bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({name})"
        )
