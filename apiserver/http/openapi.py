"""/openapi/v2 and /openapi/v3, and the service account issuer's discovery documents.

Follows kube-openapi's handlers: documents have an ETag; one that is asked for by its hash may be kept for ever, and
one asked for by another hash is found where it is now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import responders
from apiserver.http.scope import Exchange
from apiserver.schema.openapi_v2_binary import ASKED_AS, MEDIA_TYPE

_JSON: Final = "application/json"
_KEPT: Final = timedelta(days=365)
_HTTP_TIME: Final = "%a, %d %b %Y %H:%M:%S GMT"


async def handle(exchange: Exchange) -> web.StreamResponse | None:
    parts = exchange.info.path.strip("/").split("/")
    if parts == [".well-known", "openid-configuration"]:
        return await responders.obj(exchange, _issuer(exchange))
    if parts == ["openid", "v1", "jwks"]:
        return _jwks(exchange)
    if parts[0] != "openapi" or len(parts) < 2:
        return None
    if parts[1:] == ["v2"]:
        return await _v2(exchange)
    if parts[1] != "v3":
        return None
    return await _v3(exchange, "/".join(parts[2:]))


async def _v2(exchange: Exchange) -> web.StreamResponse:
    documents = exchange.services.openapi
    accepted = responders.first_accepted(exchange, (_JSON, ASKED_AS, MEDIA_TYPE))
    if accepted is None:
        return web.Response(status=406)
    etag = await asyncio.to_thread(documents.v2_hash)  # before the document, which may be newer than its name
    if accepted == _JSON:
        data, media_type = await asyncio.to_thread(documents.v2), _JSON
    else:
        data, media_type = await asyncio.to_thread(documents.v2_binary), MEDIA_TYPE
    return await responders.tagged(exchange, data, media_type, etag)


async def _v3(exchange: Exchange, path: str) -> web.StreamResponse:
    documents, aggregator = exchange.services.openapi, exchange.services.aggregator
    remote = aggregator.openapi() if aggregator is not None else {}
    if not path:
        index = await asyncio.to_thread(documents.v3_index)
        urls = {name: {"serverRelativeURL": described.url} for name, described in remote.items()}
        return await responders.obj(exchange, {"paths": {**index["paths"], **urls}})
    described = remote.get(path)
    if aggregator is not None and described is not None:
        if described.document is None:
            return await aggregator.serve(exchange, described.server)
        document = described.document
        return await _hashed(exchange, lambda: document, described.hash, described.url)
    if path not in documents.v3_paths():
        return web.Response(status=404)
    current = await asyncio.to_thread(documents.v3_hash, path)
    url = f"/openapi/v3/{path}?hash={current}"
    return await _hashed(exchange, lambda: documents.v3(path), current, url)


async def _hashed(
    exchange: Exchange, make: Callable[[], bytes], current: str, url: str
) -> web.StreamResponse:
    """A document, made if it is wanted, under the name of its hash."""
    if responders.first_accepted(exchange, (_JSON,)) is None:
        return web.Response(status=406)
    asked = exchange.query.get("hash") or ""
    if asked and asked != current:
        return web.Response(status=301, headers={"Location": url})
    response = await responders.tagged(exchange, await asyncio.to_thread(make), _JSON, current)
    if asked:
        expires = exchange.services.now() + _KEPT
        response.headers["Cache-Control"] = "public, immutable"
        response.headers["Expires"] = expires.strftime(_HTTP_TIME)
    return response


def _issuer(exchange: Exchange) -> dict[str, Any]:
    config = exchange.services.config
    issuer = config.service_account_issuer[0]
    address = f"{config.advertise_address or config.bind_address}:{config.secure_port}"
    return {
        "issuer": issuer,
        "jwks_uri": f"https://{address}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(exchange.services.accounts.keys.algorithms()),
    }


def _jwks(exchange: Exchange) -> web.StreamResponse:
    accept = exchange.request.headers.get("Accept", "*/*")
    if "*/*" not in accept and "application/jwk-set+json" not in accept:
        raise errors.generic(
            406, "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json"
        )
    data = codec.dumps({"keys": exchange.services.accounts.public_jwks()})
    return web.Response(body=data, headers={"Content-Type": "application/jwk-set+json"})
