"""Requests and watch streams to a Kubernetes API server, over HTTPS with aiohttp.

Stands between the wire and everything else: informers, controllers and the kubelet see dicts and
`ApiError`s only. Objects are JSON decoded by msgspec. Leaves out: discovery, protobuf, caching.
Retries are decided by `retry`; a watch is never resumed here but by the informer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client import retry
from components.client.activity import acted
from components.client.connect import new_session
from components.client.errors import ApiError, ConnectionFailed
from components.client.kubeconfig import ClientConfig, KubeconfigError, load
from components.client.lines import LineSplitter
from components.client.paths import query_of, resource_path
from components.client.reload import Reload

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

CONNECT_TIMEOUT = 5.0
OPENED_AT_ONCE = (
    16  # lists and watches: the handshakes of a thousand informers together would all take too long
)
WATCH_IDLE_TIMEOUT = 90.0  # a healthy server sends a bookmark every minute

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; an ERROR event is raised as ApiError instead."""

    type: str
    object: Object


class _Answer(NamedTuple):
    code: int
    retry_after: str | None
    body: bytes


class ApiClient:
    """One identity at one server. Safe for any number of concurrent requests on one event loop.

    `timeout` (seconds) bounds each attempt of a request including its answer; watches have no overall
    limit but fail when nothing arrives for `watch_idle_timeout` seconds. The files of a configuration that was
    loaded are followed: new requests and watches go out with what they say now.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        user_agent: str,
        timeout: float = 30.0,
        watch_idle_timeout: float = WATCH_IDLE_TIMEOUT,
    ) -> None:
        self.config = config
        self._user_agent = user_agent
        self._timeout = timeout
        self._request_timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        self._watch_timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=watch_idle_timeout
        )
        self._session: aiohttp.ClientSession | None = None
        self._retired: list[aiohttp.ClientSession] = []  # watches go on; idle connections end by themselves
        self._reload = Reload(config)
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)

    @classmethod
    def from_kubeconfig(cls, path: Path | str, *, user_agent: str) -> ApiClient:
        return cls(load(path), user_agent=user_agent)

    async def close(self) -> None:
        for session in (*self._retired, self._session):
            if session is not None:
                await session.close()
        self._retired.clear()
        self._session = None

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object:
        return await self._request("GET", resource_path(gvr, namespace, name, subresource))

    async def list(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str | None = None,
        metadata_only: bool = False,
    ) -> Object:
        """One page (all when `limit` is 0). Items carry apiVersion and kind, which the wire leaves out; those of
        ``metadata_only`` are PartialObjectMetadata.
        """
        query = query_of(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=limit or None,
            resourceVersion=resource_version,
        )
        if continue_:
            query["continue"] = continue_
        accept = _METADATA_LIST if metadata_only else None
        async with self._opening:
            answer = await self._request("GET", resource_path(gvr, namespace), query=query, accept=accept)
        kind = str(answer.get("kind", "")).removesuffix("List")
        for item in answer.setdefault("items", None) or ():
            item.setdefault("apiVersion", answer.get("apiVersion"))
            item.setdefault("kind", kind)
        answer["items"] = answer["items"] or []
        return answer

    async def create(
        self,
        gvr: GroupVersionResource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """POST; with `name` and `subresource` to e.g. pods/x/binding. Namespace: the object's by default."""
        scope = namespace or obj.get("metadata", {}).get("namespace")
        return await self._request("POST", resource_path(gvr, scope, name, subresource), body=obj)

    async def update(
        self, gvr: GroupVersionResource, obj: Object, *, subresource: str | None = None
    ) -> Object:
        metadata = obj["metadata"]
        path = resource_path(gvr, metadata.get("namespace"), metadata["name"], subresource)
        return await self._request("PUT", path, body=obj)

    async def patch(
        self,
        gvr: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        content_type: str = MERGE_PATCH,
    ) -> Object:
        path = resource_path(gvr, namespace, name, subresource)
        return await self._request("PATCH", path, body=patch, content_type=content_type)

    async def delete(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """DELETE with options; `uid` and `resource_version` are preconditions (409 when they do not hold)."""
        body = delete_options(grace_period_seconds, propagation_policy, uid, resource_version)
        return await self._request("DELETE", resource_path(gvr, namespace, name), body=body)

    async def delete_collection(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        query = query_of(labelSelector=label_selector, fieldSelector=field_selector)
        await self._request("DELETE", resource_path(gvr, namespace), query=query)

    async def watch(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after `resource_version`, bookmarks included, until the server ends the stream.

        Raises ApiError (410: list again) or ConnectionFailed. Leaving early: `contextlib.aclosing`.
        """
        query = query_of(
            watch=True,
            allowWatchBookmarks=True,
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=timeout_seconds,
        )
        path = resource_path(gvr, namespace)
        try:
            async with self._opening:
                response = await self._open_watch(path, query, _METADATA if metadata_only else None)
            try:
                splitter = LineSplitter()
                async for chunk in response.content.iter_any():
                    for line in splitter.feed(chunk):
                        yield _event(line)
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failure("GET", path, error) from error

    async def raw(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Any request; (HTTP status, body) whatever the status. Raises ConnectionFailed only."""
        answer = await self._send(method, path, body, dict(headers or {}), dict(query or {}))
        return answer.code, answer.body

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str | None = None,
    ) -> Object:
        headers = {"Content-Type": content_type} if body is not None else {}
        if accept is not None:
            headers["Accept"] = accept
        data = _encoder.encode(body) if body is not None else None
        answer = await self._send(method, path, data, headers, query or {})
        if answer.code >= 300:
            raise _error(answer)
        found = _object(answer)
        acted(method, path, found)
        return found

    async def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], query: dict[str, str]
    ) -> _Answer:
        attempt = 0
        while True:
            try:
                answer = await self._attempt(method, path, body, headers, query)
            except TimeoutError as error:
                raise self._failure(method, path, error) from error
            except (aiohttp.ClientError, OSError) as error:
                pause = retry.after_broken_connection(method, attempt)
                if pause is None or isinstance(error, aiohttp.ClientConnectorCertificateError):
                    raise self._failure(method, path, error) from error
            else:
                pause = retry.after_answer(answer.code, answer.retry_after, attempt)
                if pause is None:
                    return answer
            attempt += 1
            await asyncio.sleep(pause)

    async def _attempt(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], query: dict[str, str]
    ) -> _Answer:
        async with (await self._http()).request(
            method,
            self.config.server + path,
            data=body,
            headers=headers,
            params=query,
            timeout=self._request_timeout,
            server_hostname=self.config.tls_server_name,
        ) as response:
            content = await response.read()
            return _Answer(response.status, response.headers.get("Retry-After"), content)

    async def _open_watch(
        self, path: str, query: dict[str, str], accept: str | None
    ) -> aiohttp.ClientResponse:
        async with asyncio.timeout(self._timeout):
            response = await (await self._http()).get(
                self.config.server + path,
                params=query,
                headers={"Accept": accept} if accept is not None else None,
                timeout=self._watch_timeout,
                server_hostname=self.config.tls_server_name,
            )
            if response.status == 200:
                return response
            async with response:
                content = await response.read()
        raise _error(_Answer(response.status, None, content))

    async def _http(self) -> aiohttp.ClientSession:
        newer = await self._reload.newer()
        if newer is not None:
            self.use(newer)
        if self._session is None:
            self._session = new_session(self.config, self._user_agent)
        return self._session

    def use(self, config: ClientConfig) -> None:
        """From the next request on. A configuration that cannot be used changes nothing and is warned of."""
        try:
            session = new_session(config, self._user_agent)
        except KubeconfigError as error:
            log.warning("the client configuration in use stays: %s", error)
            return
        if self._session is not None:
            self._retired.append(self._session)
        self.config, self._session = config, session
        log.info("the client configuration has changed: new connections to %s", config.server)

    def _failure(self, method: str, path: str, error: BaseException) -> ConnectionFailed:
        cause = str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
        return ConnectionFailed(f"{method} {self.config.server}{path}: {cause}")


def delete_options(
    grace_period_seconds: int | None,
    propagation_policy: str | None,
    uid: str | None,
    resource_version: str | None,
) -> Object | None:
    """A DeleteOptions object, or None when it would say nothing."""
    preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
    options: Object = {}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if propagation_policy:
        options["propagationPolicy"] = propagation_policy
    if preconditions:
        options["preconditions"] = preconditions
    return {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None


def _event(line: bytes) -> WatchEvent:
    try:
        event = _decoder.decode(line)
        kind, obj = event["type"], event["object"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ConnectionFailed(f"the watch stream is not valid: {error}") from error
    if kind == "ERROR":
        raise ApiError.from_status(obj, 500)
    return WatchEvent(kind, obj)


def _object(answer: _Answer) -> Object:
    try:
        decoded = _decoder.decode(answer.body)
    except msgspec.DecodeError as error:
        raise ConnectionFailed(f"the server's answer is not JSON: {error}") from error
    return decoded if isinstance(decoded, dict) else {}


def _error(answer: _Answer) -> ApiError:
    """Proxies and early handlers answer plain text, not a Status."""
    try:
        status = _decoder.decode(answer.body)
    except msgspec.DecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return ApiError.from_status(status, answer.code)
    text = answer.body[:1024].decode("utf-8", "replace").strip()
    return ApiError(answer.code, "", text or f"HTTP {answer.code}")
