"""pods/exec, pods/attach and pods/portforward: a stream between the client and the kubelet of the pod's node.

The kubelet speaks all protocols, so the upgraded connection is passed through and never looked at. Whether the
caller may do this is asked for `create` also when a WebSocket came with GET, as the original does since 1.35.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.api.gvk import GroupResource
from apiserver.auth.rbac import Attributes
from apiserver.http.proxy import upgrade
from apiserver.http.proxy.target import Target
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object
from apiserver.http.subresources import connect_options, connecting, kubelet_address

_PATHS: Final = {"exec": "exec", "attach": "attach", "portforward": "portForward"}


async def exec_(exchange: Exchange) -> web.StreamResponse:
    options = connect_options.exec_options(exchange.query)
    return await _serve(exchange, options, connect_options.exec_query, in_container=True)


async def attach(exchange: Exchange) -> web.StreamResponse:
    options = connect_options.exec_options(exchange.query)
    options.pop("command", None)
    return await _serve(exchange, options, connect_options.attach_query, in_container=True)


async def port_forward(exchange: Exchange) -> web.StreamResponse:
    options = connect_options.port_forward_options(exchange.query)
    return await _serve(exchange, options, connect_options.port_forward_query, in_container=False)


async def _serve(
    exchange: Exchange,
    options: Object,
    query: Callable[[connect_options.Query], str],
    *,
    in_container: bool,
) -> web.StreamResponse:
    chosen = connect_options.as_query(await connecting.admitted(exchange, options))
    asked = query(chosen)
    await _authorize_create(exchange)
    info = exchange.info
    call = Call(exchange.services, exchange.resource, exchange.user)
    pod = call.decode(await call.read(info.namespace, info.name))
    path = f"/{_PATHS[info.subresource]}/{info.namespace}/{info.name}"
    if in_container:
        path += f"/{connect_options.container(pod, chosen.get('container') or '')}"
    target = await _target(exchange, pod, path, asked)
    if not upgrade.is_upgrade(exchange.request):
        raise errors.bad_request("Upgrade request required")
    return await upgrade.tunnel(exchange, target)


async def _target(exchange: Exchange, pod: Object, path: str, query: str) -> Target:
    host, port = await kubelet_address.find(exchange, connect_options.node(pod))
    return Target("https", host, port, path, query, await exchange.services.kubelet.context())


async def _authorize_create(exchange: Exchange) -> None:
    info = exchange.info
    if info.verb == "create":
        return
    asked = Attributes(
        exchange.user, info.verb, info.group, info.resource, info.subresource, info.namespace, info.name
    )
    allowed, reason = await exchange.services.authorizer.decide(replace(asked, verb="create"))
    if not allowed:
        raise errors.forbidden(GroupResource(info.group, info.resource), info.name, reason)
