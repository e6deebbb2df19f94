"""Calls that outlive a member: to whichever endpoint answers, again until one does.

For commands that run for long (`kvstore.commands.mirror`). Only requests that may be repeated go through it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TypeVar

from google.protobuf.message import Message

from kvstore.commands.connection import Connection, ServerError, Target, connected
from kvstore.rpc.proto import rpc_pb2

log = logging.getLogger(__name__)

Reply = TypeVar("Reply", bound=Message)

_AGAIN = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "CANCELLED")
_PAUSE_SECONDS = 0.5


class Session:
    """An async context manager. `name` ("source", "destination") is for the log."""

    def __init__(self, name: str, target: Target) -> None:
        self._name, self._target = name, target
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._turn = 0

    async def __aenter__(self) -> Session:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def call(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        """Again and again until it is answered. Raises the `ServerError`s that another try does not change."""
        while True:
            try:
                connection = self._connection or await self._connect()
                return await connection.call(method, request, reply)
            except ServerError as error:
                await self._failed(error)

    async def watch(self, create: rpc_pb2.WatchCreateRequest) -> AsyncIterator[rpc_pb2.WatchResponse]:
        """One watch; it ends when its connection does, and the next one goes to another endpoint."""
        try:
            connection = self._connection or await self._connect()
            async for response in connection.watch(_only(rpc_pb2.WatchRequest(create_request=create))):
                yield response
            await asyncio.sleep(_PAUSE_SECONDS)
        except ServerError as error:
            await self._failed(error)

    async def _connect(self) -> Connection:
        """To the next endpoint in turn. Raises `ServerError` if none takes the connection."""
        await self._stack.aclose()
        self._connection = None
        endpoints = self._target.endpoints
        for attempt in range(len(endpoints)):
            endpoint = endpoints[self._turn % len(endpoints)]
            self._turn += 1
            try:
                self._connection = await self._stack.enter_async_context(connected(self._target, endpoint))
                return self._connection
            except ServerError as error:
                if error.code not in _AGAIN or attempt == len(endpoints) - 1:
                    raise
        raise AssertionError("unreachable: there is an endpoint")

    async def _failed(self, error: ServerError) -> None:
        """Prepare another try, or raise what cannot get better."""
        if error.code not in _AGAIN:
            raise error
        log.warning("%s: %s; trying again", self._name, error)
        self._connection = None
        await asyncio.sleep(_PAUSE_SECONDS)


async def _only(request: rpc_pb2.WatchRequest) -> AsyncIterator[rpc_pb2.WatchRequest]:
    """One request, on a stream that stays open."""
    yield request
    await asyncio.Event().wait()
