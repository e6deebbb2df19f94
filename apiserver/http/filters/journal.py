"""Keeps a record of every write in the journal: who asked for what, what became of it, where it is in the log.

Stands after authentication and impersonation, so that the user is known, and around everything that may refuse. Built
into the chain only where a journal is kept (a master). What renews itself every few seconds (leases), tells of others
(events) or stores nothing (reviews, tokens) is left out.
"""

from __future__ import annotations

import time
from typing import Any, Final

from aiohttp import web

from apiserver.api.errors import StatusError
from apiserver.api.journal import Journal, ObjectRef
from apiserver.http.filters.headers import AUDIT_ID
from apiserver.http.filters.interface import Handler, long_running
from apiserver.http.request_info import RequestInfo
from apiserver.http.scope import Exchange, Services
from apiserver.storage.interface import StorageError
from apiserver.trail import CURRENT, Trail, Write

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_LEFT_OUT: Final = frozenset({"leases", "events"})
_ASKED_ONLY: Final = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
_SECRET: Final = frozenset({"secrets"})
_NAMED_VERBS: Final = {"binding": "bind", "eviction": "evict"}
_DONE: Final = {
    "create": "created",
    "update": "updated",
    "patch": "patched",
    "apply": "applied",
    "delete": "deleted",
    "deletecollection": "deleted",
    "bind": "bound",
    "evict": "evicted",
}
_MOST: Final = 500
_APPLY: Final = "application/apply-patch+"
GONE: Final = 499
"""The code of a request whose client did not wait for the answer, as web servers have it."""


def with_journal(services: Services, handler: Handler) -> Handler:
    journal = services.journal
    assert journal is not None

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if not _is_kept(exchange.info):
            return await handler(exchange)
        trail = Trail()
        token, begun = CURRENT.set(trail), time.perf_counter()
        code, message = GONE, ""
        try:
            response = await handler(exchange)
            code = response.status
            return response
        except StatusError as exc:
            code, message = exc.code, exc.message
            raise
        except StorageError as exc:
            code, message = 503, str(exc)
            raise
        finally:
            CURRENT.reset(token)
            _Story(journal, exchange, trail, begun).tell(code, message)

    return handle


def _is_kept(info: RequestInfo) -> bool:
    return (
        info.verb in _WRITES
        and info.is_resource
        and info.resource not in _LEFT_OUT
        and info.group not in _ASKED_ONLY
        and info.subresource != "token"
        and not long_running(info)
    )


class _Story:
    """One request, told once it is answered."""

    def __init__(self, journal: Journal, exchange: Exchange, trail: Trail, begun: float) -> None:
        self._journal, self._exchange, self._trail, self._begun = journal, exchange, trail, begun
        self._took = time.perf_counter() - begun

    def tell(self, code: int, message: str) -> None:
        info = self._exchange.info
        resource = self._exchange.services.registry.lookup(info.group, info.version, info.resource)
        own = f"{resource.storage_prefix}/" if resource is not None else ""
        writes = [write for write in self._trail.writes if own and write.key.startswith(own)]
        if info.verb == "deletecollection":
            for write in writes[:_MOST]:
                self._record(self._ref_of(write, own), write, code, message)
            return
        self._record(self._ref(), writes[-1] if writes else None, code, message)

    def _ref(self) -> ObjectRef:
        info = self._exchange.info
        metadata = (self._trail.obj or {}).get("metadata") or {}
        name = info.name or metadata.get("name") or metadata.get("generateName") or ""
        namespace = "" if info.resource == "namespaces" else info.namespace
        return ObjectRef(info.resource, info.group, namespace, str(name), str(metadata.get("uid") or ""))

    def _ref_of(self, write: Write, prefix: str) -> ObjectRef:
        """Of one of several objects: by its key."""
        info = self._exchange.info
        namespace, _, name = write.key[len(prefix) :].rpartition("/")
        return ObjectRef(info.resource, info.group, namespace, name)

    def _record(self, ref: ObjectRef, write: Write | None, code: int, message: str) -> None:
        exchange = self._exchange
        if message and ref.resource in _SECRET:
            message = ""  # it may quote what was sent
        placement = exchange.services.placement(write.revision) if write is not None else None
        detail = self._detail(code, message)
        if write is not None:
            detail["previousRevision"] = write.previous or None
            detail["storedMs"] = _ms(write.at - self._begun)
        if placement is not None:
            detail["proposed"], detail["index"] = placement.leader, placement.index
            detail["term"] = placement.term
        self._journal.note(
            "apiserver",
            "request",
            ref,
            self._summary(ref, code, message, write),
            detail,
            revision=write.revision if write is not None else None,
            ago=self._took,
        )

    def _verb(self) -> str:
        info = self._exchange.info
        if info.verb == "patch" and self._exchange.request.headers.get("Content-Type", "").startswith(_APPLY):
            return "apply"
        return _NAMED_VERBS.get(info.subresource, info.verb) if info.verb == "create" else info.verb

    def _detail(self, code: int, message: str) -> dict[str, Any]:
        exchange = self._exchange
        detail: dict[str, Any] = {
            "auditID": exchange.headers.get(AUDIT_ID, ""),
            "user": exchange.user.name,
            "groups": exchange.user.groups,
            "userAgent": exchange.request.headers.get("User-Agent", "")[:256],
            "verb": self._verb(),
            "subresource": exchange.info.subresource,
            "code": code,
            "dryRun": "dryRun" in exchange.query,
            "warnings": list(exchange.warnings),
            "admission": [{"plugin": name, "changed": found} for name, found in self._trail.changed],
            "steps": _steps(exchange.steps, self._begun, self._took),
            "ms": _ms(self._took),
            "proposed": None,
            "index": None,
            "previousRevision": None,
        }
        if message:
            detail["message"] = message[:1024]
        return detail

    def _summary(self, ref: ObjectRef, code: int, message: str, write: Write | None) -> str:
        info, user = self._exchange.info, self._exchange.user.name
        verb = self._verb()
        part = "" if verb in _NAMED_VERBS.values() or not info.subresource else f" ({info.subresource})"
        what = f"{ref.resource}/{ref.name}{part}"
        if code == GONE:
            return f"{user} asked to {verb} {what} and did not wait for the answer"
        if code >= 400:
            return f"{user} was refused to {verb} {what}: {code} {message}".rstrip()
        if write is None:
            return f"{user} {_DONE[verb]} {what}: nothing was changed"
        return f"{user} {_DONE[verb]} {what}: revision {write.revision}"


def _steps(steps: list[tuple[float, str]], begun: float, took: float) -> list[dict[str, Any]]:
    """Those before this filter have no duration that is known here."""
    found, before = [], begun
    for at, name in steps:
        if at >= begun:
            found.append({"name": name, "ms": _ms(at - before)})
            before = at
    found.append({"name": "answered", "ms": _ms(begun + took - before)})
    return found


def _ms(seconds: float) -> float:
    """Milliseconds, whole microseconds of them."""
    return int(seconds * 1_000_000) / 1000
