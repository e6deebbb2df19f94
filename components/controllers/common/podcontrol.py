"""Creates, deletes and patches pods for the workload controllers, and records what it did as events.

Creation is slow-started as in the original: batches of 1, 2, 4 ..., and no further batch after a failure, so
that a template the API server refuses costs one request and not hundreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.events import EventRecorder
from components.client.resources import PODS
from components.client.transport import ApiClient

# Requests under way at once: enough to fill the API server, few enough not to starve its other clients.
MAX_IN_FLIGHT = 64

T = TypeVar("T")


@dataclass(frozen=True)
class BatchResult:
    """`done` went well; `skipped` were never tried; `error` is the first failure."""

    done: int
    skipped: int
    error: ApiError | None


async def slow_start_batch(
    count: int, act: Callable[[int], Awaitable[None]], initial: int = 1
) -> BatchResult:
    """Call `act(0) … act(count-1)` in doubling batches; stop after the first batch with a failure."""
    done, size = 0, min(count, initial)
    while size > 0:
        results = await gather_limited([_call(act, done + i) for i in range(size)])
        errors = [error for error in results if error is not None]
        done += size - len(errors)
        if errors:
            return BatchResult(done, count - done - len(errors), errors[0])
        size = min(2 * size, count - done)
    return BatchResult(done, 0, None)


async def gather_limited(
    actions: Sequence[Callable[[], Awaitable[T]]], limit: int = MAX_IN_FLIGHT
) -> list[T]:
    """Run all `actions`, at most `limit` at a time; their results in order."""
    pending = iter(enumerate(actions))
    results: dict[int, T] = {}

    async def work() -> None:
        for index, action in pending:
            results[index] = await action()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(actions))):
            group.create_task(work())
    return [results[index] for index in range(len(actions))]


def _call(act: Callable[[int], Awaitable[None]], index: int) -> Callable[[], Awaitable[ApiError | None]]:
    async def call() -> ApiError | None:
        try:
            await act(index)
        except ApiError as error:
            return error
        return None

    return call


class PodControl:
    def __init__(self, client: ApiClient, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, pod: Object, owner: Object) -> Object:
        """Create one pod; the failure is an event too, unless its namespace is just going away."""
        try:
            created = await self._client.create(PODS, pod, namespace=meta.namespace(owner))
        except ApiError as error:
            if not namespace_is_terminating(error):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(created)}")
        return created

    async def delete(self, pod: Object, owner: Object) -> None:
        """Delete exactly this pod; one that is gone already is fine (ApiError 404 passes to the caller)."""
        name = meta.name(pod)
        try:
            await self._client.delete(PODS, name, meta.namespace(pod), uid=meta.uid(pod))
        except ApiError as error:
            if not error.is_not_found:
                self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")


def namespace_is_terminating(error: ApiError) -> bool:
    """The server refused a create because the namespace is being deleted: nothing to report or retry."""
    causes = (error.status.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
