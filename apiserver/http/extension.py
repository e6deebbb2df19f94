"""What a composition root may serve beside the API: paths under a prefix of its own.

The owner of an `ApiServer` gives extensions to it. Their paths are non-resource URLs: they pass the whole chain
(``apiserver.http.chain``), so who asks is known and may ask, and then reach `Extension.handle` instead of the router.
A request with ``watch=true`` is long-running: it takes no seat, has no time limit, and ends with the server. Only a
``public`` extension skips authentication and authorization; it must serve nothing but what may be known to everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from apiserver.auth.user import User


class Extension(Protocol):
    """``prefix`` begins with a slash and has none at its end: ``/ui`` stands for ``/ui`` and all below ``/ui/``."""

    prefix: str
    public: bool

    async def handle(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """May raise `apiserver.api.errors.StatusError`, which becomes a Status. Is cancelled when the server stops."""
        ...


def find(extensions: Sequence[Extension], path: str) -> Extension | None:
    """The one whose prefix is the longest that the path has."""
    found: Extension | None = None
    for extension in extensions:
        if _covers(extension.prefix, path) and (found is None or len(extension.prefix) > len(found.prefix)):
            found = extension
    return found


def _covers(prefix: str, path: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
