"""pods/proxy, services/proxy and nodes/proxy: HTTP and WebSockets to what is behind a name.

The name may carry a scheme and a port (`https:web:8443`). For pods without a port the first that is declared; for
services an endpoint of the port's name, chosen at random; for nodes the kubelet, with this server's certificate.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator
from typing import Final

from aiohttp import web

from apiserver.api import errors, go_int
from apiserver.api.errors import StatusError
from apiserver.http.proxy import forward, upgrade
from apiserver.http.proxy.target import Named, Target, is_proxyable, split_name, subpath
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object
from apiserver.http.subresources import connecting, kubelet_address

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SINGULAR: Final = {"pods": "pod", "services": "service", "nodes": "node"}


async def pod(exchange: Exchange) -> web.StreamResponse:
    await _admit(exchange)
    named = _named(exchange)
    found = await _read(exchange, "pods", exchange.info.namespace, named.name)
    address = next((ip["ip"] for ip in (found.get("status") or {}).get("podIPs") or ()), "")
    _check(exchange, address)
    return await _proxy(exchange, _insecure(exchange, named.scheme, address, named.port or _declared(found)))


def _declared(found: Object) -> str:
    for container in found["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""


async def service(exchange: Exchange) -> web.StreamResponse:
    await _admit(exchange)
    named, namespace = _named(exchange), exchange.info.namespace
    wanted = named.port
    if wanted.isascii() and wanted.isdigit():
        wanted = _port_name(await _read(exchange, "services", namespace, named.name), named)
    endpoints = await _read(exchange, "endpoints", namespace, named.name)
    subsets = endpoints.get("subsets") or []
    if not subsets:
        raise errors.service_unavailable(f'no endpoints available for service "{named.name}"')
    for address, port in _candidates(subsets, wanted):
        if await _is_pods_own(exchange, address):
            return await _proxy(exchange, _insecure(exchange, named.scheme, address["ip"], str(port)))
    raise errors.service_unavailable(f'no endpoints available for service "{exchange.info.name}"')


def _port_name(found: Object, named: Named) -> str:
    for port in found["spec"].get("ports") or ():
        if port["port"] == go_int.integer(named.port):
            return port.get("name") or ""
    text = f'no service port {named.port} found for service "{named.name}"'
    raise errors.service_unavailable(text)


def _candidates(subsets: list[Object], name: str) -> Iterator[tuple[Object, int]]:
    """(address, port) of every endpoint with that port, in a random order."""
    for subset in random.sample(subsets, len(subsets)):
        addresses = subset.get("addresses") or []
        for port in subset.get("ports") or ():
            if (port.get("name") or "") == name:
                for address in random.sample(addresses, len(addresses)):
                    yield address, port["port"]


async def _is_pods_own(exchange: Exchange, address: Object) -> bool:
    """Endpoints are written by users: only the address of a pod of this namespace is gone to."""
    ref = address.get("targetRef") or {}
    if ref.get("namespace") != exchange.info.namespace:
        return False
    try:
        found = await _read(exchange, "pods", exchange.info.namespace, ref.get("name") or "")
    except StatusError:
        return False
    return any(ip["ip"] == address["ip"] for ip in (found.get("status") or {}).get("podIPs") or ())


async def node(exchange: Exchange) -> web.StreamResponse:
    await _admit(exchange)
    named = _named(exchange)
    host, port = await kubelet_address.find(exchange, named.name)
    _check(exchange, host)
    if named.port in ("", str(port)):
        context = await exchange.services.kubelet.context()
        return await _proxy(exchange, Target("https", host, port, _path(exchange), _query(exchange), context))
    return await _proxy(exchange, _insecure(exchange, named.scheme, host, named.port))


async def _admit(exchange: Exchange) -> None:
    """Raises StatusError. Where the request goes is not for admission to change."""
    path = _path(exchange)
    left = await connecting.admitted(exchange, {"path": path} if path else {})
    if (left.get("path") or "") != path:
        raise errors.internal("admission changed the path of a proxied request, which is not supported")


def _named(exchange: Exchange) -> Named:
    named = split_name(exchange.info.name)
    if named is None:
        kind = _SINGULAR[exchange.info.resource]
        raise errors.bad_request(f'invalid {kind} request "{exchange.info.name}"')
    return named


async def _read(exchange: Exchange, plural: str, namespace: str, name: str) -> Object:
    resource = exchange.services.registry.lookup("", "v1", plural)
    assert resource is not None
    call = Call(exchange.services, resource, exchange.user)
    return call.decode(await call.read(namespace, name))


def _check(exchange: Exchange, address: str) -> None:
    if not is_proxyable(address, allow_loopback=exchange.services.config.allow_loopback_endpoints):
        raise errors.bad_request("address not allowed")


def _insecure(exchange: Exchange, scheme: str, host: str, port: str) -> Target:
    """Backends of users: their certificates are not checked, as in the original."""
    scheme = scheme or "http"
    if port and not (port.isascii() and port.isdigit() and 0 < go_int.integer(port) < 65536):
        where = f"error trying to reach service: dial tcp: lookup tcp/{port}: unknown port"
        raise errors.service_unavailable(where)
    context = None
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    return Target(scheme, host, number, _path(exchange), _query(exchange), context)


def _path(exchange: Exchange) -> str:
    return subpath(exchange.info.parts, exchange.info.path)


def _query(exchange: Exchange) -> str:
    return exchange.request.rel_url.raw_query_string


async def _proxy(exchange: Exchange, target: Target) -> web.StreamResponse:
    if upgrade.is_upgrade(exchange.request):
        return await upgrade.tunnel(exchange, target)
    return await forward.forward(exchange, target)
