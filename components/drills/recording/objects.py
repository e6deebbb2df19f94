"""ConfigMaps as keys: the calls and watches of `recorder` and `watcher`, made through the Kubernetes API.

A key is a ConfigMap's name, its value one field of it, its mod revision the resourceVersion. What a workload
asks is what a controller does: read, and write on condition that the resourceVersion is still the one that was
read. A conflict (409) is an answer; what broke on the way may have been done.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from typing import Any, Literal, Protocol

from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import CONFIG_MAPS
from components.client.transport import ApiClient, WatchEvent
from components.drills.recording.recorder import Recorder
from kvstore.check.history import (
    AnyRequest,
    Call,
    Event,
    KeyValue,
    Put,
    Range,
    Result,
    Txn,
    Watch,
    Watched,
)

CALL_SECONDS = 4.0
FIELD = "value"
WATCH_SECONDS = 300
PAUSE = 0.05
_numbers = itertools.count(1_000_001)


class Port(Protocol):
    """Where a workload's requests go; each is answered, and recorded."""

    async def call(self, request: AnyRequest) -> Call: ...


class ObjectClient:
    """One client of ConfigMaps in `namespace`, through one address."""

    def __init__(self, number: int, client: ApiClient, namespace: str, recorder: Recorder) -> None:
        self.number = number
        self._client = client
        self._namespace = namespace
        self._recorder = recorder

    async def call(self, request: AnyRequest) -> Call:
        start = self._recorder.now()
        outcome: Literal["ok", "error", "unknown"] = "ok"
        answer: Result | None = None
        text = ""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._ask(request)
        except (ApiError, TimeoutError) as error:
            outcome, text = _failed(request, error), str(error) or "timed out"
        record = Call(
            client=self.number,
            call=start,
            request=request,
            outcome=outcome,
            returned=self._recorder.now(),
            result=answer,
            error=text,
            endpoint=self._client.config.server,
        )
        self._recorder.add(record)
        return record

    async def _ask(self, request: AnyRequest) -> Result:
        match request:
            case Range(range_end=""):
                return await self._get(request.key)
            case Range():
                return await self._list(request)
            case Txn(compare=(condition,), success=(Put() as put, *_)):
                return await self._swap(put, int(condition.to))
        raise NotImplementedError(f"no object's request: {request}")

    async def _get(self, key: str) -> Result:
        try:
            found = await self._client.get(CONFIG_MAPS, key, self._namespace)
        except ApiError as error:
            if error.is_not_found:
                return Result(kvs=())
            raise
        return Result(kvs=(key_value(found),))

    async def _list(self, request: Range) -> Result:
        answer = await self._client.list(CONFIG_MAPS, self._namespace)
        kvs = tuple(key_value(o) for o in answer["items"] if ours(o, request.key))
        revision = int(answer["metadata"]["resourceVersion"])
        return Result(revision=revision, kvs=tuple(sorted(kvs, key=lambda kv: kv.key)))

    async def _swap(self, put: Put, revision: int) -> Result:
        obj = config_map(self._namespace, put.key, put.value, revision)
        try:
            if revision:
                stored = await self._client.update(CONFIG_MAPS, obj)
            else:
                stored = await self._client.create(CONFIG_MAPS, obj)
        except ApiError as error:
            if error.is_conflict or error.is_already_exists or error.is_not_found:
                return Result(succeeded=False)
            raise
        written = int(stored["metadata"]["resourceVersion"])
        self._recorder.revision = max(self._recorder.revision, written)
        return Result(revision=written, succeeded=True)


def _failed(request: AnyRequest, error: ApiError | TimeoutError) -> Literal["error", "unknown"]:
    """A refusal that says so, or a read: nothing was done. Anything else may have been."""
    refused = isinstance(error, ApiError) and (400 <= error.code < 500)
    return "error" if refused or isinstance(request, Range) else "unknown"


class ObjectWatcher:
    """One informer of the namespace's ConfigMaps: lists, then watches on, resumed after the last revision seen."""

    def __init__(
        self, number: int, client: ApiClient, namespace: str, prefix: str, recorder: Recorder
    ) -> None:
        self.number = number
        self.lists = 0
        self.seen = 0
        self._client = client
        self._namespace = namespace
        self._prefix = prefix
        self._recorder = recorder

    async def run(self) -> None:
        """Until cancelled."""
        last: int | None = None
        while True:
            try:
                if not self.seen:
                    last, self.seen = None, await self._list()
                watch = self._watch(last)
                last = watch.watch
                await self._follow(watch)
            except ApiError as error:
                if error.is_gone or error.is_too_large_resource_version:
                    self.seen = 0
            await asyncio.sleep(PAUSE)

    async def _list(self) -> int:
        answer = await self._client.list(CONFIG_MAPS, self._namespace)
        self.lists += 1
        return int(answer["metadata"]["resourceVersion"])

    def _watch(self, resumes: int | None) -> Watch:
        watch = Watch(
            watch=next(_numbers),
            client=self.number,
            time=self._recorder.now(),
            key=self._prefix,
            range_end=after(self._prefix),
            start_revision=self.seen + 1,
            resumes=resumes,
            endpoint=self._client.config.server,
        )
        self._recorder.add(watch)
        return watch

    async def _follow(self, watch: Watch) -> None:
        stream = self._client.watch(
            CONFIG_MAPS, self._namespace, resource_version=str(self.seen), timeout_seconds=WATCH_SECONDS
        )
        async with aclosing(stream):
            async for event in stream:
                revision = int(event.object["metadata"]["resourceVersion"])
                self.seen = max(self.seen, revision)
                if event.type == "BOOKMARK" or ours(event.object, self._prefix):
                    self._recorder.add(self._told(watch, event, revision))

    def _told(self, watch: Watch, event: WatchEvent, revision: int) -> Watched:
        events: tuple[Event, ...] = ()
        if event.type == "DELETED":
            events = (Event("DELETE", KeyValue(event.object["metadata"]["name"], mod=revision)),)
        elif event.type != "BOOKMARK":
            events = (Event("PUT", key_value(event.object)),)
        return Watched(watch=watch.watch, time=self._recorder.now(), revision=revision, events=events)


def ours(obj: Object, prefix: str) -> bool:
    """Other ConfigMaps are in every namespace (the cluster's root certificate)."""
    return str(obj["metadata"]["name"]).startswith(prefix)


def key_value(obj: Object) -> KeyValue:
    data: dict[str, Any] = obj.get("data") or {}
    return KeyValue(
        key=obj["metadata"]["name"], value=data.get(FIELD), mod=int(obj["metadata"]["resourceVersion"])
    )


def config_map(namespace: str, name: str, value: str, revision: int) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if revision:
        metadata["resourceVersion"] = str(revision)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {FIELD: value}}


def after(prefix: str) -> str:
    """The end of the range of all keys that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
