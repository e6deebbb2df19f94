"""Which handler serves a subresource, or a resource that stores nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from apiserver.api import errors
from apiserver.http.request_info import RequestInfo
from apiserver.http.scope import Exchange
from apiserver.http.subresources import (
    binding,
    components,
    eviction,
    finalize,
    kubelet_stream,
    log,
    proxy,
    reviews,
    scale,
    token,
)
from apiserver.registry.subresources import has_own

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

STREAMS: Final = frozenset({"attach", "exec", "log", "portforward", "proxy"})
"""They answer with bytes of their own, not with objects."""

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def _refused(exchange: Exchange) -> web.StreamResponse:
    info = exchange.info
    raise errors.StatusError(
        501, "NotImplemented", f"{info.resource}/{info.subresource} is not supported by this server", {}
    )


_SPECIAL: Final[dict[tuple[str, str, str], Handler]] = {
    ("", "bindings", ""): binding.handle,
    ("", "componentstatuses", ""): components.handle,
    ("", "namespaces", "finalize"): finalize.handle,
    ("", "nodes", "proxy"): proxy.node,
    ("", "pods", "attach"): kubelet_stream.attach,
    ("", "pods", "binding"): binding.handle,
    ("", "pods", "eviction"): eviction.handle,
    ("", "pods", "exec"): kubelet_stream.exec_,
    ("", "pods", "log"): log.handle,
    ("", "pods", "portforward"): kubelet_stream.port_forward,
    ("", "pods", "proxy"): proxy.pod,
    ("", "serviceaccounts", "token"): token.handle,
    ("", "services", "proxy"): proxy.service,
    ("authentication.k8s.io", "selfsubjectreviews", ""): reviews.self_subject,
    ("authentication.k8s.io", "tokenreviews", ""): reviews.token,
    ("authorization.k8s.io", "localsubjectaccessreviews", ""): reviews.local_subject_access,
    ("authorization.k8s.io", "selfsubjectaccessreviews", ""): reviews.self_subject_access,
    ("authorization.k8s.io", "selfsubjectrulesreviews", ""): reviews.self_subject_rules,
    ("authorization.k8s.io", "subjectaccessreviews", ""): reviews.subject_access,
}


def find(resource: Resource, subresource: str) -> Handler | None:
    """None: the ordinary verbs serve it."""
    handler = _SPECIAL.get((resource.gvr.group, resource.gvr.resource, subresource))
    if handler is None and subresource == "scale":
        return scale.handle
    if handler is not None or subresource in ("", "status"):
        return handler
    return None if has_own(resource.gvk.group, resource.gvk.kind, subresource) else _refused


def takes_path(info: RequestInfo) -> bool:
    """Only proxies have more path after their name."""
    return info.subresource == "proxy"
