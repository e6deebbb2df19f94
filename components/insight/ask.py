"""Asks a cluster why: what `kuberaft why` and `kuberaft story` do.

A kuberaft cluster answers by its own endpoint. Any other API server is asked for objects and events, and they are
explained here, by the same reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from components.client.errors import ApiError
from components.client.transport import ApiClient
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.insight.collect import Collector
from components.insight.explain import explain
from components.insight.lastchange import by_owners
from components.insight.objects import ClientObjects

Answer = dict[str, Any]
_PREFIX = "/kuberaft/v1"
_SECONDS = 10.0


class Target(NamedTuple):
    resource: str
    name: str
    namespace: str

    @property
    def text(self) -> str:
        return f"{self.resource}/{self.name}"


def target_of(text: str, namespace: str) -> Target:
    """From ``pod/web``; the group may be given as kubectl has it: ``deployments.apps/web``. Raises ClusterError."""
    resource, slash, name = text.partition("/")
    if not slash or not resource or not name or "/" in name:
        raise ClusterError(f"{text}: is not KIND/NAME", "for example: kuberaft why pod/web")
    return Target(resource, name, namespace)


def kubeconfig_of(directory: Path | None, kubeconfig: str | None) -> Path:
    """Raises ClusterError where there is no cluster."""
    found = Path(kubeconfig).expanduser() if kubeconfig else Layout.at(directory).kubeconfig
    if not found.exists():
        raise ClusterError(
            f"{found}: there is no such kubeconfig", "start a cluster (kuberaft up), or name one"
        )
    return found


def why(kubeconfig: Path, target: Target) -> Answer:
    """An Explanation. Raises ClusterError."""

    async def work(client: ApiClient) -> Answer:
        return await _asked(client, "why", target) or await _explained(client, target)

    return _run(kubeconfig, work)


def story(kubeconfig: Path, target: Target) -> Answer:
    """A Story. Raises ClusterError."""

    async def work(client: ApiClient) -> Answer:
        answer = await _asked(client, "story", target)
        if answer is None:
            raise ClusterError(
                "this cluster keeps no records", "a story is told by kuberaft's clusters only; try why"
            )
        return answer

    return _run(kubeconfig, work)


def _run(kubeconfig: Path, work: Callable[[ApiClient], Awaitable[Answer]]) -> Answer:
    async def main() -> Answer:
        async with ApiClient.from_kubeconfig(kubeconfig, user_agent="kuberaft") as client:
            async with asyncio.timeout(_SECONDS):
                return await work(client)

    try:
        return asyncio.run(main())
    except ApiError as error:
        raise ClusterError(
            f"the API server cannot answer: {error.message}", "look at kuberaft status"
        ) from error


async def _asked(client: ApiClient, what: str, target: Target) -> Answer | None:
    """None of a server that has no such endpoint. Raises ClusterError, ApiError."""
    resource, _, group = target.resource.partition(".")
    query = {"resource": resource, "group": group, "namespace": target.namespace, "name": target.name}
    code, body = await client.raw("GET", f"{_PREFIX}/{what}?{urlencode(query)}")
    if code == 200:
        answer: Answer = msgspec.json.decode(body)
        return answer
    message = _message(body)
    if code in (403, 404) and not message.startswith("the server doesn't have a resource type"):
        return None
    raise ClusterError(f"{target.text}: {message}", "name a kind that the cluster has: kubectl api-resources")


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body).get("message") or "")
    except (msgspec.DecodeError, AttributeError):
        return body.decode("utf-8", "replace").strip()


async def _explained(client: ApiClient, target: Target) -> Answer:
    """By objects and events alone."""
    source = ClientObjects(client)
    resource, _, group = target.resource.partition(".")
    kind = await source.kind(resource, group)
    if kind is None:
        raise ClusterError(
            f'the server doesn\'t have a resource type "{target.resource}"', "see kubectl api-resources"
        )
    namespace = target.namespace if kind.namespaced else ""
    situation = await Collector(source, datetime.now(UTC)).situation(kind, namespace, target.name)
    found = explain(situation)
    found.last_change = by_owners(situation.object) if situation.object is not None else None
    answer: Answer = msgspec.to_builtins(found)
    return answer
