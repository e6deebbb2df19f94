"""/openapi/v2 and /openapi/v3 (with hashes and ETags), and the service account issuer's discovery documents."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import responders
from apiserver.http.scope import Exchange
from apiserver.schema.openapi_v2_binary import ASKED_AS, MEDIA_TYPE


async def handle(exchange: Exchange) -> web.StreamResponse | None:
    parts = exchange.info.path.strip("/").split("/")
    if parts == [".well-known", "openid-configuration"]:
        return await responders.obj(exchange, _issuer(exchange))
    if parts == ["openid", "v1", "jwks"]:
        return _jwks(exchange)
    if parts[0] != "openapi" or len(parts) < 2:
        return None
    documents = exchange.services.openapi
    if parts[1:] == ["v2"]:
        if ASKED_AS in exchange.request.headers.get("Accept", ""):
            binary = await asyncio.to_thread(documents.v2_binary)
            return await responders.other_bytes(exchange, binary, MEDIA_TYPE)
        return await _document(exchange, await asyncio.to_thread(documents.v2), "")
    if parts[1:] == ["v3"]:
        return await responders.obj(exchange, documents.v3_index())
    group_version = "/".join(parts[3:])
    if parts[1] != "v3" or group_version not in documents.group_versions():
        raise errors.generic(404)
    data = await asyncio.to_thread(documents.v3, group_version)
    return await _document(exchange, data, documents.v3_hash(group_version))


async def _document(exchange: Exchange, data: bytes, etag: str) -> web.StreamResponse:
    quoted = f'"{etag}"'
    if etag and exchange.request.headers.get("If-None-Match") == quoted:
        return web.Response(status=304, headers={"ETag": quoted})
    response = await responders.json_bytes(exchange, data)
    if etag:
        response.headers["ETag"] = quoted
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
        "id_token_signing_alg_values_supported": sorted(exchange.services.accounts.algorithms()),
    }


def _jwks(exchange: Exchange) -> web.StreamResponse:
    accept = exchange.request.headers.get("Accept", "*/*")
    if "*/*" not in accept and "application/jwk-set+json" not in accept:
        raise errors.generic(
            406, "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json"
        )
    data = codec.dumps({"keys": exchange.services.accounts.public_jwks()})
    return web.Response(body=data, headers={"Content-Type": "application/jwk-set+json"})
