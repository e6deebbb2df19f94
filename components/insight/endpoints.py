"""The endpoints under ``/kuberaft/v1/``: what is asked, checked and answered. See ``docs/insight.md``.

An extension of the API server (``apiserver.http.extension``), so the user is known and may ask; whose content is shown
is asked of the authorizer once more. Built by ``components.master``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource
from apiserver.api.journal import ObjectRef, Query, Record
from apiserver.api.meta import Object
from apiserver.auth import rbac
from apiserver.auth.user import User
from apiserver.storage.interface import Compacted, FutureRevision
from components.client.activity import Activity
from components.client.recordstream import MOST_RECORDS, PING, Waiting, query_of, render, stream
from components.insight import story
from components.insight.clusterstatus import ClusterSampler
from components.insight.collect import EVENT, OWNED, Collector
from components.insight.diff import differences
from components.insight.explain import explain
from components.insight.family import of_gone
from components.insight.gather import INSTANCE, Missing, Peers, decoded
from components.insight.lastchange import last_change
from components.insight.objects import LocalObjects
from components.insight.relatives import family
from components.insight.revisions import History, at_revision, history, shown
from components.insight.situation import Kind
from components.insight.streams import RecordHub
from kvstore.member import Member

if TYPE_CHECKING:
    from apiserver.http.scope import Services
    from apiserver.registry.table import Resource

PREFIX: Final = "/kuberaft/v1"
_MOST_ENTRIES: Final = 2000
_HEARTBEAT: Final = 5.0
_RECENT: Final = 20
_KIN: Final = frozenset({"self", "owner", "owned"})
Answer = dict[str, Any]


class Insight:
    """``services`` are those of the API server that this is an extension of. ``ready``: whether it serves."""

    prefix = PREFIX
    public = False

    def __init__(
        self, services: Services, member: Member, activity: Activity, now: Callable[[], datetime]
    ) -> None:
        self._services, self._activity, self._now = services, activity, now
        self._member = member
        self.ready: Callable[[], bool] = lambda: False
        self._objects = LocalObjects(services)
        self._peers = Peers(
            services, activity.journal.instance, lambda: [one.name for one in member.member_list()]
        )
        self._hub = RecordHub(activity.journal, self._peers)
        self._sampler = ClusterSampler(services, member, self._peers, lambda: self.ready(), now)
        self._answers: dict[str, Callable[[web.BaseRequest, User], Awaitable[web.StreamResponse]]] = {
            "records": self._records,
            "story": self._story,
            "why": self._why,
            "revisions": self._revisions,
            "diff": self._diff,
            "cluster": self._cluster,
            "controllers": self._controllers,
        }

    async def close(self) -> None:
        await self._hub.close()
        await self._sampler.close()

    async def handle(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """Raises StatusError: 404 for what is not served, 405 for writes, 400 for parameters that cannot be read."""
        answer = self._answers.get(request.path.removeprefix(PREFIX).strip("/"))
        if answer is None:
            raise errors.generic(404)
        if request.method not in ("GET", "HEAD"):
            raise errors.generic(405)
        return await answer(request, user)

    # Records.

    async def _records(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        try:
            query, local = query_of(request.query), _is_set(request, "local")
        except ValueError as error:
            raise errors.bad_request(str(error)) from error
        if _is_set(request, "watch"):
            source = self._activity.journal.subscribe if local else self._hub.subscribe
            return await stream(request, source)
        own = self._activity.journal.lines(query)
        lines, missing = (own, []) if local else await self._peers.records(query, own)
        return self._bytes(render(lines, missing))

    async def _of_object(self, kind: Kind, namespace: str, name: str) -> tuple[list[Record], Missing]:
        return await self._all_records(Query(ObjectRef(kind.resource, kind.group, namespace, name)))

    async def _all_records(self, query: Query) -> tuple[list[Record], Missing]:
        lines, missing = await self._peers.records(query, self._activity.journal.lines(query))
        return decoded(lines), missing

    # One object.

    async def _story(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        kind, namespace, name = await self._asked(request)
        obj = await self._objects.get(kind, namespace, name)
        relatives = await family(self._objects, kind, obj) if obj is not None else []
        places = [ObjectRef(one.resource, "", one.namespace, one.name) for one in relatives]
        places = places or [ObjectRef(kind.resource, "", namespace, name)]
        query = Query(any_of=tuple(places), limit=_MOST_ENTRIES)
        if obj is None and kind.kind in OWNED:
            query = Query(ObjectRef(namespace=namespace), limit=MOST_RECORDS)
        records, missing = await self._all_records(query)
        if not query.any_of:
            records = [record for record in records if of_gone(record.object, kind, name)]
        uids = {one.uid for one in relatives}
        if uids:
            records = [r for r in records if not r.object.uid or r.object.uid in uids]
        shared = min((one.name for one in relatives if one.relation in _KIN), key=len, default=name)
        told = story.entries(records, await self._events(namespace, shared, uids))
        return self._json(
            {
                "kind": "Story",
                "object": _reference(kind, namespace, name, obj),
                "family": relatives,
                "entries": told[-_MOST_ENTRIES:],
                "missing": missing,
            }
        )

    async def _events(self, namespace: str, name: str, uids: set[str]) -> list[Object]:
        """Of the family, whose names contain that of its head; of an object that is gone, by its name."""
        listed = await self._objects.list(EVENT, namespace or "default", containing=name)
        found = []
        for event in listed:
            about = event.get("involvedObject") or {}
            if about.get("uid") in uids or (about.get("name") == name and not uids):
                found.append(event)
        return found

    async def _why(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        kind, namespace, name = await self._asked(request)
        missing: Missing = []

        async def records(of: Kind, namespace: str, name: str) -> list[Record]:
            found, absent = await self._of_object(of, namespace, name)
            missing.extend(one for one in absent if one not in missing)
            return found

        situation = await Collector(self._objects, self._now(), records).situation(kind, namespace, name)
        found = await asyncio.to_thread(explain, situation)  # thousands of pods may be counted
        versions = await self._history(kind, namespace, name, situation.records, most=20)
        found.last_change = _without_keys(kind, last_change(versions.versions, situation.records))
        found.missing = missing
        return self._json(found)

    async def _revisions(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        kind, namespace, name = await self._asked(request)
        await self._may_get(user, kind, namespace, name)
        records, missing = await self._of_object(kind, namespace, name)
        found = await self._history(kind, namespace, name, records)
        return self._json(
            {
                "kind": "RevisionList",
                "oldest": max(found.oldest, self._member.compact_revision(), 1),
                "current": found.current,
                "revisions": shown(found, records),
                "missing": missing,
            }
        )

    async def _history(
        self, kind: Kind, namespace: str, name: str, records: list[Record], most: int = 100
    ) -> History:
        deletions = [
            r.revision for r in records if r.revision and r.detail.get("verb") in ("delete", "evict")
        ]
        resource = self._resource(kind)
        return await history(
            self._services.storage, resource, namespace, name, max(deletions, default=0), most
        )

    async def _diff(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        kind, namespace, name = await self._asked(request)
        await self._may_get(user, kind, namespace, name)
        key = self._resource(kind).key(namespace, name)
        sides = [await self._at(key, _number(request, side)) for side in ("from", "to")]
        return self._json({"kind": "Diff", "changes": differences(*sides)})

    async def _at(self, key: str, revision: int) -> Object | None:
        try:
            stored = await at_revision(self._services.storage, key, revision)
        except Compacted as gone:
            text = f"revision {revision} is no longer kept; the oldest is {gone.compact_revision}"
            raise StatusError(410, "Expired", text) from gone
        except FutureRevision as future:
            raise errors.bad_request(str(future)) from future
        return codec.decode_stored(stored.value, stored.revision) if stored is not None else None

    async def _may_get(self, user: User, kind: Kind, namespace: str, name: str) -> None:
        """Raises 403: content of an object is for those who may get it."""
        asked = rbac.Attributes(user, "get", kind.group, kind.resource, "", namespace, name)
        allowed, reason = await self._services.authorizer.decide(asked)
        if not allowed:
            text = f'User "{user.name}" {asked.describe()}' + (f": {reason}" if reason else "")
            raise errors.forbidden(GroupResource(kind.group, kind.resource), name, text)

    async def _asked(self, request: web.BaseRequest) -> tuple[Kind, str, str]:
        """Raises 400 and 404."""
        query = request.query
        resource, name = query.get("resource", ""), query.get("name", "")
        if not resource or not name:
            raise errors.bad_request("resource and name must be given")
        kind = await self._objects.kind(resource, query.get("group", ""))
        if kind is None:
            raise StatusError(404, "NotFound", f'the server doesn\'t have a resource type "{resource}"')
        namespace = (query.get("namespace") or "default") if kind.namespaced else ""
        return kind, namespace, name

    def _resource(self, kind: Kind) -> Resource:
        found = self._services.registry.lookup(kind.group, kind.version, kind.resource)
        if found is None:
            raise errors.generic(404)
        return found

    # The cluster.

    async def _cluster(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        if _is_set(request, "watch"):
            return await self._watch_cluster(request)
        return self._json(
            await (self._sampler.own() if _is_set(request, "local") else self._sampler.sample())
        )

    async def _watch_cluster(self, request: web.BaseRequest) -> web.StreamResponse:
        events = "text/event-stream" in request.headers.get("Accept", "")
        response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
        response.content_type = "text/event-stream" if events else "application/json"
        await response.prepare(request)
        waiting = Waiting()
        end = self._sampler.subscribe(waiting.put)
        try:
            while request.transport is not None:
                lines = (await waiting.take(_HEARTBEAT))[-1:] or [PING.rstrip()]
                await response.write(b"data: %b\n\n" % lines[0] if events else lines[0] + b"\n")
        except ConnectionError:
            pass
        finally:
            end()
        return response

    async def _controllers(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        own = self._own_controllers()
        if _is_set(request, "local"):
            return self._json(own)
        answers = await self._peers.ask(await self._peers.masters(), f"{PREFIX}/controllers?local=true")
        told = [own, *(codec.decode(answer.body) for answer in answers if answer.body is not None)]
        schedulers = [one["scheduler"] for one in told if one.get("scheduler")]
        return self._json(
            {
                "kind": "ControllerList",
                "controllers": [one for found in told for one in found.get("controllers") or []],
                "scheduler": schedulers[0] if schedulers else None,
                "missing": self._peers.missing(answers),
            }
        )

    def _own_controllers(self) -> Answer:
        activity, journal = self._activity, self._activity.journal
        controllers = []
        for name, queue in sorted(activity.queues.items()):
            controllers.append(
                {
                    "name": name,
                    "instance": journal.instance,
                    "leading": True,
                    "queue": len(queue),
                    "processing": queue.processing,
                    "retries": queue.waiting,
                    "lastDecision": journal.last("controller", name),
                }
            )
        scheduler = None
        if activity.scheduler is not None:
            recent = journal.records(Query(source="scheduler", limit=_RECENT))
            scheduler = {"instance": journal.instance, **activity.scheduler.lengths(), "last": recent}
        return {"controllers": controllers, "scheduler": scheduler}

    def _json(self, value: Any) -> web.Response:
        return self._bytes(msgspec.json.encode(value))

    def _bytes(self, data: bytes) -> web.Response:
        headers = {"Cache-Control": "no-cache, private", INSTANCE: self._activity.journal.instance}
        return web.Response(body=data, content_type="application/json", headers=headers)


def _without_keys(kind: Kind, change: Answer | None) -> Answer | None:
    """Of a Secret not even the names of what is in it."""
    if change is None or kind.resource != "secrets":
        return change
    parts = dict.fromkeys("/".join(path.split("/")[:2]) for path in change["fields"])
    return {**change, "fields": list(parts)}


def _is_set(request: web.BaseRequest, name: str) -> bool:
    return request.query.get(name, "false").lower() not in ("false", "0")


def _number(request: web.BaseRequest, name: str) -> int:
    """Raises 400."""
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise errors.bad_request(f"{name}: {text!r} is no revision")
    return int(text)


def _reference(kind: Kind, namespace: str, name: str, obj: Object | None) -> Answer:
    uid = str(((obj or {}).get("metadata") or {}).get("uid") or "")
    fields = {"resource": kind.resource, "group": kind.group, "kind": kind.kind}
    return {**fields, "namespace": namespace, "name": name, "uid": uid}
