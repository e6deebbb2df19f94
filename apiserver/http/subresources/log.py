"""pods/log: the log of a container, passed through from the kubelet of its node."""

from __future__ import annotations

import contextlib
from typing import Final

from aiohttp import ClientConnectorError, ClientError, ClientResponse, web

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.http.proxy.lifetime import CutOff, attended
from apiserver.http.proxy.upgrade import os_text
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange
from apiserver.http.subresources import connect_options, kubelet_address
from apiserver.http.subresources.log_options import kubelet_query

_CHUNK: Final = 32 * 1024


async def handle(exchange: Exchange) -> web.StreamResponse:
    info = exchange.info
    query = kubelet_query(exchange.query, info.name)
    call = Call(exchange.services, exchange.resource, exchange.user)
    pod = call.decode(await call.read(info.namespace, info.name))
    container = connect_options.container(pod, exchange.query.get("container") or "")
    node = pod["spec"].get("nodeName") or ""
    if not node:
        return web.Response(status=204)
    host, port = await kubelet_address.find(exchange, node)
    url = f"https://{host}:{port}/containerLogs/{info.namespace}/{info.name}/{container}"
    insecure = connect_options.flag(exchange.query, "insecureSkipTLSVerifyBackend")
    context = await exchange.services.kubelet.context(verify=not insecure)
    session = await exchange.services.kubelet.session()
    try:
        async with session.get(url, params=query, ssl=context) as upstream:
            return await _relay(exchange, upstream)
    except ClientConnectorError as error:
        why = f"dial tcp {host}:{port}: {os_text(error.os_error)}"
        raise errors.unknown(f'Get "{url}": {why}') from error
    except (ClientError, TimeoutError) as error:
        raise errors.unknown(f'Get "{url}": {error or "i/o timeout"}') from error


async def _relay(exchange: Exchange, upstream: ClientResponse) -> web.StreamResponse:
    if upstream.status != 200:
        raise _refusal(upstream.status, (await upstream.text()).strip(), exchange.info.name)
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.headers.update(exchange.headers)
    response.enable_chunked_encoding()
    await response.prepare(exchange.request)
    exchange.begun(response.status)
    with contextlib.suppress(CutOff):  # a log that stops with this server ends properly
        await attended(exchange, _copy(upstream, response))
    await response.write_eof()
    return response


def _refusal(code: int, text: str, name: str) -> StatusError:
    """The kubelet's answer as the original's response checker tells it."""
    if code == 500:
        return errors.internal(text)
    if code == 400:
        return errors.bad_request(text)
    reason = {404: "NotFound", 403: "Forbidden", 401: "Unauthorized"}.get(code, "InternalError")
    message = _MESSAGES.get(
        code, f"the server responded with the status code {code} but did not return more information"
    )
    details = {"name": name, "kind": "pods/log"}
    return StatusError(code, reason, f"{message} ( pods/log {name})", details)


_MESSAGES: Final = {404: "the server could not find the requested resource", 403: "unknown"}


async def _copy(upstream: ClientResponse, response: web.StreamResponse) -> None:
    async for chunk in upstream.content.iter_chunked(_CHUNK):
        await response.write(chunk)
