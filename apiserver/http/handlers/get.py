"""GET of one object: the newest, or with a resourceVersion one that is not older (0: whichever is here)."""

from __future__ import annotations

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import options, responders
from apiserver.http.handlers import answer
from apiserver.http.negotiation import PLAIN
from apiserver.http.rest.call import converts, served
from apiserver.http.scope import Exchange
from apiserver.storage.interface import Compacted, FutureRevision, Stored


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    asked = exchange.query.get("resourceVersion") or ""
    wanted = options.revision(asked)
    key = resource.key(info.namespace, info.name)
    stored = await (
        _past(exchange, key, wanted) if exchange.read_at else _newest(exchange, key, wanted, asked)
    )
    if stored is None:
        raise errors.not_found(resource.gvr.group_resource, info.name)
    if (exchange.accepted or PLAIN).transform or converts(resource):
        obj = served(resource, codec.decode_stored(stored.value, stored.revision))
        return await answer.one(exchange, resource.gvk, obj)
    return await responders.json_bytes(exchange, codec.splice(stored.value, stored.revision))


async def _newest(exchange: Exchange, key: str, wanted: int, asked: str) -> Stored | None:
    storage = exchange.services.storage
    try:
        return (await storage.get(key, min_revision=wanted, linearizable=not asked))[0]
    except FutureRevision as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None


async def _past(exchange: Exchange, key: str, wanted: int) -> Stored | None:
    """As it was at ``exchange.read_at``. The first key with a prefix is the prefix, if there is such a key."""
    if wanted > exchange.read_at:
        raise errors.too_large_resource_version(exchange.read_at, wanted)
    try:
        listed = await exchange.services.storage.list(key, limit=1, revision=exchange.read_at)
    except Compacted as exc:
        raise errors.expired(str(exc)) from None
    return next((item for item in listed.items if item.key == key), None)
