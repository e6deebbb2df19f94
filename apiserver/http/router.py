"""The last step of the chain: which handler serves this request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from apiserver.api import errors
from apiserver.http import body, discovery, fault_api, health, negotiation, openapi, responders
from apiserver.http.handlers import create, delete, deletecollection, get, patch, update, watch
from apiserver.http.handlers import list as listing
from apiserver.http.proxy.lifetime import attended
from apiserver.http.scope import Exchange
from apiserver.http.subresources import catalogue

if TYPE_CHECKING:
    from apiserver.http.extension import Extension
    from apiserver.registry.table import Resource

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]

_VERBS: Final[dict[str, Handler]] = {
    "get": get.handle,
    "list": listing.handle,
    "watch": watch.handle,
    "create": create.handle,
    "update": update.handle,
    "patch": patch.handle,
    "delete": delete.handle,
    "deletecollection": deletecollection.handle,
}
_PART_VERBS: Final[dict[str, Handler]] = {"get": get.handle, "update": update.handle, "patch": patch.handle}
_DEPRECATED: Final = {
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
}
_TOO_EARLY: Final = (
    "the request has been made before all known HTTP paths have been installed, please try again"
)
_OBJECT_METHODS: Final = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_COLLECTION_METHODS: Final = frozenset({"GET", "POST", "DELETE"})


async def route(exchange: Exchange) -> web.StreamResponse:
    if fault_api.serves(exchange.info.path):  # before anything that others serve below /kuberaft
        return await fault_api.handle(exchange)
    aggregator = exchange.services.aggregator
    elsewhere = aggregator.find(exchange.info) if aggregator is not None else None
    if aggregator is not None and elsewhere is not None:
        return await aggregator.serve(exchange, elsewhere)
    if exchange.info.is_resource:
        return await _resource(exchange)
    if exchange.extension is not None:
        return await _extension(exchange, exchange.extension)
    return await _non_resource(exchange)


async def _resource(exchange: Exchange) -> web.StreamResponse:
    info, method = exchange.info, exchange.request.method
    if not discovery.has_resource(exchange.services, info):
        if not exchange.services.registry.complete:
            raise errors.service_unavailable(_TOO_EARLY)
        return responders.not_found_page()
    if len(info.parts) > 3 and not catalogue.takes_path(info):
        raise errors.generic(404)
    handler = _handler(exchange)
    if handler is None or (method == "HEAD" and not catalogue.takes_path(info)):
        raise errors.generic(405)
    warning = _DEPRECATED.get((info.group, info.version, info.resource))
    custom = exchange.resource.custom
    if custom is not None:
        warning = custom.warning
        exchange.services = custom.view.services(exchange.services)
    if warning:
        exchange.warn(warning)
    if info.subresource not in catalogue.STREAMS:
        accept = exchange.request.headers.get("Accept")
        types = exchange.services.media_types
        if custom is not None:
            types = body.without_protobuf(types)
        exchange.accepted = negotiation.negotiate(accept, types)
    return await handler(exchange)


def _handler(exchange: Exchange) -> Handler | None:
    """None: not with this method. Raises 404."""
    info, resource, method = exchange.info, exchange.resource, exchange.request.method
    if info.subresource:
        if info.subresource not in resource.subresources:
            custom = resource.custom is not None
            raise errors.not_found(resource.gvr.group_resource, info.name) if custom else errors.generic(404)
        special = catalogue.find(resource, info.subresource)
        if special is not None:
            if method == "OPTIONS" and catalogue.takes_path(info):
                return special
            return special if info.verb in resource.subresources[info.subresource].verbs else None
        return _PART_VERBS.get(info.verb)
    if resource.custom is not None and resource.custom.terminating and info.verb == "create":
        raise _terminating(resource)
    special = catalogue.find(resource, "")
    if special is not None:
        return special if info.verb in resource.verbs else None
    if method not in (_OBJECT_METHODS if info.name else _COLLECTION_METHODS):
        return None
    if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
        return None
    return _VERBS.get(info.verb) if info.verb in resource.verbs else None


def _terminating(resource: Resource) -> errors.StatusError:
    refusal = errors.method_not_supported(resource.gvr.group_resource, "create")
    refusal.message = "create not allowed while custom resource definition is terminating"
    return refusal


async def _extension(exchange: Exchange, extension: Extension) -> web.StreamResponse:
    work = extension.handle(exchange.request, exchange.user)
    return await (attended(exchange, work) if exchange.info.is_watch else work)


async def _non_resource(exchange: Exchange) -> web.StreamResponse:
    for serve in (health.handle, discovery.handle, openapi.handle):
        response = await serve(exchange)
        if response is not None:
            return response
    if exchange.info.path.rstrip("/").startswith(("/api/", "/apis/")) and discovery.known_group(exchange):
        raise errors.generic(404)
    return responders.not_found_page()
