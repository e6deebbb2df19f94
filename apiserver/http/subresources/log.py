"""pods/log: the log of a container, passed through from the kubelet of its node."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import ClientError, ClientResponse, web

from apiserver.api import errors
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object

_PARAMETERS: Final = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
)
_CHUNK: Final = 32 * 1024
_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")


async def handle(exchange: Exchange) -> web.StreamResponse:
    call = Call(exchange.services, exchange.resource, exchange.user)
    pod = call.decode(await call.read(exchange.info.namespace, exchange.info.name))
    container = _container(pod, exchange.query.get("container") or "")
    node = pod["spec"].get("nodeName") or ""
    if not node:
        return web.Response(status=204)  # no node, no log
    host, port = await _address(exchange, node)
    info = exchange.info
    url = f"https://{host}:{port}/containerLogs/{info.namespace}/{info.name}/{container}"
    query = {key: exchange.query[key] for key in _PARAMETERS if key in exchange.query}
    session = await exchange.services.kubelet.session()
    try:
        async with session.get(url, params=query) as upstream:
            return await _relay(exchange, upstream)
    except (ClientError, TimeoutError, OSError) as exc:
        raise errors.internal(f'Get "{url}": {exc or type(exc).__name__}') from exc


def _container(pod: Object, asked: str) -> str:
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [c["name"] for kind in _KINDS for c in spec.get(kind) or ()]
    if asked:
        if asked not in names:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    main = [c["name"] for c in spec.get("containers") or ()]
    if len(main) == 1:
        return str(main[0])
    chosen = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if chosen in names:
        return str(chosen)
    extra = [c["name"] for c in spec.get("initContainers") or ()]
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    raise errors.bad_request(text + (f" or one of the init containers: [{' '.join(extra)}]" if extra else ""))


async def _address(exchange: Exchange, node: str) -> tuple[str, int]:
    nodes = exchange.services.registry.lookup("", "v1", "nodes")
    assert nodes is not None
    call = Call(exchange.services, nodes)
    status = call.decode(await call.read("", node)).get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 10250
    by_type = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    for kind in ("InternalIP", "Hostname", "ExternalIP"):
        if kind in by_type:
            return by_type[kind], port
    raise errors.internal(f"no preferred addresses found; known addresses: {status.get('addresses') or []}")


async def _relay(exchange: Exchange, upstream: ClientResponse) -> web.StreamResponse:
    if upstream.status != 200:
        text = (await upstream.text()).strip()
        reason = {400: "BadRequest", 404: "NotFound"}.get(upstream.status, "InternalError")
        raise errors.StatusError(upstream.status, reason, text or upstream.reason or "kubelet error")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(exchange.request)
    reading = asyncio.ensure_future(_copy(upstream, response))
    try:
        while not reading.done() and not exchange.services.stopping:
            await asyncio.wait([reading], timeout=1.0)
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await response.write_eof()
    return response


async def _copy(upstream: ClientResponse, response: web.StreamResponse) -> None:
    async for chunk in upstream.content.iter_chunked(_CHUNK):
        await response.write(chunk)
