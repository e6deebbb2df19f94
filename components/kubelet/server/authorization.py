"""Who may ask a kubelet for what: every request is put to the API server as a SubjectAccessReview of its client.

TLS lets in whoever has a certificate of the cluster, which every kubelet and many a user has; so the name in it must be
allowed the node's subresource. Middleware of `app`. Answers are remembered as the original does: five minutes for yes,
thirty seconds for no. Source: pkg/kubelet/server/auth.go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

from aiohttp import web

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.errors import ApiError

logger = logging.getLogger(__name__)

REVIEWS: Final = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
_MASTERS: Final = "system:masters"
_AUTHENTICATED: Final = "system:authenticated"
_VERBS: Final = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COMMANDS: Final = frozenset({"exec", "attach", "run", "portForward"})
_PARTS: Final = {
    # first part of the path: the subresources of the node any of which allows it
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "pods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
}
_YES_SECONDS: Final = 300.0
_NO_SECONDS: Final = 30.0
_REMEMBERED: Final = 1024


class Reviewer(Protocol):
    """The part of `components.client.transport.ApiClient` that is used here."""

    async def create(self, gvr: GroupVersionResource, obj: Object) -> Object: ...


class Client(NamedTuple):
    name: str
    groups: tuple[str, ...]


class Question(NamedTuple):
    client: Client
    verb: str
    subresources: tuple[str, ...]


def client_of(certificate: dict[str, Any]) -> Client:
    """From what ssl's `getpeercert` gives."""
    pairs = [pair for part in certificate.get("subject") or () for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = [value for key, value in pairs if key == "organizationName"]
    return Client(names[0] if names else "", (*groups, _AUTHENTICATED))


def question_of(client: Client, method: str, path: str) -> Question:
    """A command that comes as a WebSocket comes with GET, and is a command all the same."""
    first = path.strip("/").partition("/")[0]
    verb = "create" if first in _COMMANDS else _VERBS.get(method, method.lower())
    return Question(client, verb, _PARTS.get(first, ("proxy",)))


class Authorization:
    """`clock` is seconds, only forward."""

    def __init__(self, reviewer: Reviewer, node: str, clock: Callable[[], float]) -> None:
        self._reviewer = reviewer
        self._node = node
        self._clock = clock
        self._known: OrderedDict[Question, tuple[float, bool]] = OrderedDict()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        asked = question_of(client_of(certificate or {}), request.method, request.path)
        detail = f"user={asked.client.name}, verb={asked.verb}, resource=nodes"
        try:
            allowed = await self.allows(asked)
        except (ApiError, TimeoutError) as error:
            logger.warning("the API server was asked in vain: %s: %s", detail, error)
            text = f"Authorization error ({detail}, subresource(s)={_listed(asked)})"
            return web.Response(status=500, text=text)
        if not allowed:
            return web.Response(status=403, text=f"Forbidden ({detail}, subresource(s)={_listed(asked)})")
        return await handler(request)

    async def allows(self, asked: Question) -> bool:
        """Raises ApiError when the API server does not say."""
        if not asked.client.name:
            return False
        if _MASTERS in asked.client.groups:
            return True
        until, allowed = self._known.get(asked, (0.0, False))
        if until > self._clock():
            return allowed
        allowed = await self._ask(asked)
        self._known[asked] = (self._clock() + (_YES_SECONDS if allowed else _NO_SECONDS), allowed)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return allowed

    async def _ask(self, asked: Question) -> bool:
        for subresource in asked.subresources:
            async with asyncio.timeout(10.0):
                answer = await self._reviewer.create(REVIEWS, review(asked, subresource, self._node))
            if (answer.get("status") or {}).get("allowed"):
                return True
        return False


def review(asked: Question, subresource: str, node: str) -> Object:
    attributes = {
        "verb": asked.verb,
        "version": "v1",
        "resource": "nodes",
        "subresource": subresource,
        "name": node,
    }
    spec = {"user": asked.client.name, "groups": list(asked.client.groups), "resourceAttributes": attributes}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def _listed(asked: Question) -> str:
    return f"[{' '.join(asked.subresources)}]"
