"""GET of one object: the newest, or with a resourceVersion one that is not older (0: whichever is here)."""

from __future__ import annotations

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import options, responders
from apiserver.http.handlers import answer
from apiserver.http.negotiation import PLAIN
from apiserver.http.rest.call import converts, served
from apiserver.http.scope import Exchange
from apiserver.storage.interface import FutureRevision


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    asked = exchange.query.get("resourceVersion") or ""
    wanted = options.revision(asked)
    key = resource.key(info.namespace, info.name)
    try:
        stored, _ = await exchange.services.storage.get(key, min_revision=wanted, linearizable=not asked)
    except FutureRevision as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None
    if stored is None:
        raise errors.not_found(resource.gvr.group_resource, info.name)
    if (exchange.accepted or PLAIN).transform or converts(resource):
        obj = served(resource, codec.decode_stored(stored.value, stored.revision))
        return await answer.one(exchange, resource.gvk, obj)
    return await responders.json_bytes(exchange, codec.splice(stored.value, stored.revision))
